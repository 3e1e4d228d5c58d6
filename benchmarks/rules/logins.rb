version=2
# lognormalizer: when, where, who, from where, and whatever else our own scan prints.
rule=sshd:%time:date-rfc3164% %machine:word% sshd[%pid:number%]: Accepted %method:word% for %user:char-to: % from %host:word% port %port:number% %protocol:char-to::%: %key:rest%
rule=sshd:%time:date-rfc3164% %machine:word% sshd[%pid:number%]: Accepted %method:word% for %user:char-to: % from %host:word% port %port:number% %protocol:word%
rule=vsftpd:%time:date-rfc3164% %machine:word% vsftpd[%pid:number%]: [%user:char-to:]%] OK LOGIN: Client "%host:char-to:"%"
rule=sudo:%time:date-rfc3164% %machine:word% sudo:%-:whitespace%%user:word% : TTY=%tty:word% ; PWD=%pwd:string-to: ; % ; USER=%target:string-to: ; % ; COMMAND=%command:rest%
