# mawk: finds with index and cuts with substr, which is faster than its regular expressions.
# Prints time, service, user and host.
{ at = 0 }

(at = index($0, ": Accepted ")) && index($0, " sshd[") {
    rest = substr($0, at + 11)
    rest = substr(rest, index(rest, " for ") + 5)
    from = index(rest, " from ")
    user = substr(rest, 1, from - 1)
    rest = substr(rest, from + 6)
    port = index(rest, " port ")
    if (from && port) print substr($0, 1, 15), "sshd", user, substr(rest, 1, port - 1)
    next
}

(at = index($0, "] OK LOGIN: Client \"")) && index($0, " vsftpd[") {
    host = substr($0, at + 20)
    user = substr($0, 1, at - 1)
    user = substr(user, index(user, "]: [") + 4)
    sub(/^::ffff:/, "", host)
    print substr($0, 1, 15), "vsftpd", user, substr(host, 1, index(host, "\"") - 1)
    next
}

(at = index($0, " sudo: ")) && index($0, " ; COMMAND=") {
    rest = substr($0, at + 7)
    sub(/^ +/, "", rest)
    machine = substr($0, 17, at - 17)
    print substr($0, 1, 15), "sudo", substr(rest, 1, index(rest, " : ") - 1), machine
}
