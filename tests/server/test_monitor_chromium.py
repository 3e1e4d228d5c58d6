"""The page in a real browser: it updates by itself, works without script, and stays inert."""

import os
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from real_monitor import running_monitor
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys as Key

BROWSER = Path("/usr/bin/chromium")
DRIVER = Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1280,900",
)
PATIENCE_S = 60
BERLIN = "Europe/Berlin"
NO_SCRIPT = {"profile.managed_default_content_settings.javascript": 2}
HOSTILE = "<img src=x onerror=document.title='owned'>\u202egnp.exe"

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def _browser_there():
    if BROWSER.exists() and DRIVER.exists():
        return
    if os.environ.get("CI"):
        pytest.fail("CI has to have chromium and chromium-driver")
    pytest.skip("needs Debian's chromium and chromium-driver")


@contextmanager
def browser(directory, preferences=None):
    """Run a fresh browser in Berlin's time zone."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*FLAGS, f"--user-data-dir={directory / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_experimental_option("prefs", preferences or {})
    driver = webdriver.Chrome(options, Service(str(DRIVER)))
    driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": BERLIN})
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def monitor(tmp_path):
    """A monitor without logins."""
    with running_monitor(tmp_path / "data", place="web1") as (_, caller):
        caller.number = caller.make_monitor("Login Monitor")
        yield caller


def log_in(monitor, user, second=0):
    """Send a login at 2026-11-22 12:00 UTC and some seconds."""
    results = f"user_login:{user};host:192.0.2.7;srv:sshd"
    monitor.add(monitor.number, 1_795_348_800_000 + second * 1000, results)


def users(driver):
    """Return the users that are shown, newest first; none while the page is being loaded."""
    try:
        return [cell.text for cell in driver.find_elements(By.CSS_SELECTOR, "td.user")]
    except StaleElementReferenceException:
        return []


def until(condition):
    """Wait for the browser, on a busy machine too; return how long it took, in seconds."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < PATIENCE_S, "waited in vain"
        time.sleep(0.02)
    return time.monotonic() - start


def complaints(driver):
    """Return what the browser's console says, such as breaches of the content policy."""
    return [entry["message"] for entry in driver.get_log("browser")]


def test_a_login_appears_within_a_second_without_reload(monitor, tmp_path):
    """On the empty page, then on a page with rows; what has the focus keeps it.

    The best of three counts: other work of the machine may delay the browser.
    """
    with browser(tmp_path) as driver:
        driver.get(monitor.address.page(monitor.keys.page_key))
        assert f"{monitor.address.url}/" == driver.current_url
        assert "No login yet" in driver.find_element(By.ID, "main").text
        driver.execute_script("window.unreloaded = true")
        log_in(monitor, "alice")
        took = [until(lambda: users(driver) == ["alice"])]
        driver.find_element(By.CSS_SELECTOR, "td.user a").send_keys(Key.NULL)
        driver.execute_script("document.querySelector('td.user a').focus()")
        for second, user in enumerate(["bob", "carol"], 1):
            log_in(monitor, user, second)
            took.append(until(lambda user=user: users(driver)[:1] == [user]))
        assert min(took) < 1
        assert ["carol", "bob", "alice"] == users(driver)
        assert "alice" == driver.switch_to.active_element.text
        assert driver.execute_script("return window.unreloaded")
        assert "3" == driver.find_elements(By.CSS_SELECTOR, "#figures dd")[2].text
        assert [] == complaints(driver)


def test_times_are_those_of_the_reader(monitor, tmp_path):
    """12:00 UTC is 13:00 in Berlin; the heading names the zone, the title keeps UTC."""
    log_in(monitor, "alice")
    with browser(tmp_path) as driver:
        driver.get(monitor.address.page(monitor.keys.page_key))
        shown = driver.find_element(By.TAG_NAME, "time")
        assert "2026-11-22 13:00:00" == shown.text
        assert "2026-11-22 12:00:00 UTC" == shown.get_attribute("title")
        assert "GMT+1" == driver.find_element(By.ID, "zone").text


def test_a_filtered_page_shows_only_what_matches(monitor, tmp_path):
    """A name leads to its logins, which alone are added from then on."""
    log_in(monitor, "alice")
    log_in(monitor, "bob", 1)
    with browser(tmp_path) as driver:
        driver.get(monitor.address.page(monitor.keys.page_key))
        driver.find_element(By.LINK_TEXT, "alice").click()
        until(lambda: users(driver) == ["alice"])
        assert driver.current_url.endswith("/?user=alice")
        until(lambda: driver.find_element(By.ID, "state").text == "Live")
        log_in(monitor, "bob", 2)
        log_in(monitor, "alice", 3)
        until(lambda: users(driver) == ["alice"] * 2)


def test_updates_can_be_paused(monitor, tmp_path):
    """Paused, the list stands still; resumed, it shows what it missed."""
    log_in(monitor, "alice")
    with browser(tmp_path) as driver:
        driver.get(monitor.address.page(monitor.keys.page_key))
        pause = driver.find_element(By.ID, "pause")
        until(lambda: driver.find_element(By.ID, "state").text == "Live")
        pause.send_keys(Key.ENTER)
        assert "Paused" == driver.find_element(By.ID, "state").text
        log_in(monitor, "bob", 1)
        time.sleep(0.6)
        assert ["alice"] == users(driver)
        pause.send_keys(Key.ENTER)
        until(lambda: users(driver) == ["bob", "alice"])


def test_it_works_without_script(monitor, tmp_path):
    """Key, list, filter and paging are plain HTML; the page reloads itself every ten seconds."""
    for second in range(101):
        log_in(monitor, "bob" if second else "alice", second)
    with browser(tmp_path, NO_SCRIPT) as driver:
        driver.get(monitor.address.page(monitor.keys.page_key))
        assert "Time UTC" == driver.find_element(By.CSS_SELECTOR, "th.time").text
        assert not driver.find_element(By.ID, "pause").is_displayed()
        driver.find_element(By.LINK_TEXT, "Older").click()
        assert ["alice"] == users(driver)
        driver.find_element(By.LINK_TEXT, "Newest").click()
        assert ["bob"] * 100 == users(driver)
        driver.find_element(By.NAME, "user").send_keys("alice", Key.ENTER)
        until(lambda: users(driver) == ["alice"])
        log_in(monitor, "alice", 200)
        until(lambda: len(users(driver)) == 2)


def test_a_hostile_name_does_nothing(monitor, tmp_path):
    """Markup in a name is text, also when it arrives live; its filter finds it."""
    with browser(tmp_path) as driver:
        driver.get(monitor.address.page(monitor.keys.page_key))
        title = driver.title
        quoted = "".join(f"%{byte:02X}" for byte in HOSTILE.encode())
        log_in(monitor, quoted)
        shown = HOSTILE.replace("\u202e", "⟨U+202E⟩")
        until(lambda: users(driver) == [shown])
        driver.find_element(By.CSS_SELECTOR, "td.user a").click()
        until(lambda: driver.find_element(By.NAME, "user").get_attribute("value") == shown)
        assert [shown] == users(driver)
        assert title == driver.title
        assert [] == driver.find_elements(By.CSS_SELECTOR, "table img")
        assert [] == complaints(driver)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_and_all_can_be_read(monitor, tmp_path, scheme):
    """At every width nothing scrolls sideways; text has the contrast that WCAG AA asks for."""
    log_in(monitor, "alice")
    log_in(monitor, "x" * 300, 1)
    recent(monitor, "carol", -60)
    with browser(tmp_path) as driver:
        emulate(driver, prefers_color_scheme=scheme)
        for width in (360, 820, 1100, 1920):
            size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            driver.get(monitor.address.page(monitor.keys.page_key))
            assert width >= driver.execute_script("return document.documentElement.scrollWidth")
            assert [] == driver.execute_script(PALE)


def recent(monitor, user, minutes=0, service="sshd"):
    """Send a login of so many minutes ago."""
    moment = int(time.time() * 1000) - minutes * 60_000
    monitor.add(monitor.number, moment, f"user_login:{user};host:192.0.2.7;srv:{service}")


def emulate(driver, **features):
    """Set what the reader prefers, such as a dark scheme."""
    given = [{"name": n.replace("_", "-"), "value": value} for n, value in features.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": given})


def named(driver, selector, text):
    """Return the element whose name for screen readers ends so."""
    return driver.find_element(By.CSS_SELECTOR, f"{selector} a[aria-label$='{text}']")


def test_counts_and_charts_are_live_too(monitor, tmp_path):
    """Figures, bars, calendar and tops follow; the news are spoken; the focus stays on its day.

    So it is below a login of a clock that is ahead.
    """
    recent(monitor, "alice")
    recent(monitor, "eve", -2 * 24 * 60, "ftpd")
    with browser(tmp_path) as driver:
        driver.get(monitor.address.page(monitor.keys.page_key))
        until(lambda: driver.find_element(By.ID, "state").text == "Live")
        driver.execute_script("document.querySelector('#calendar svg a').focus()")
        recent(monitor, "mallory", service="sudo")
        until(lambda: users(driver) == ["eve", "mallory", "alice"])
        until(lambda: "mallory" in driver.find_element(By.ID, "side").text)
        assert "sudo 1" in driver.find_element(By.CSS_SELECTOR, "#bars .legend").text
        assert named(driver, "#calendar", ": 2")
        news = driver.find_element(By.ID, "news").get_attribute("textContent")
        assert "New login: mallory from 192.0.2.7 for the first time, sudo" == news
        assert driver.switch_to.active_element.get_attribute("aria-label").endswith(": 2")
        assert [] == complaints(driver)


def test_a_part_of_a_bar_leads_to_its_logins(monitor, tmp_path):
    """A click shows them; the chips that appear take the filters away again, one by one."""
    recent(monitor, "alice")
    recent(monitor, "root", service="sudo")
    with browser(tmp_path) as driver:
        driver.get(monitor.address.page(monitor.keys.page_key))
        named(driver, "#bars", "sudo: 1").click()
        until(lambda: users(driver) == ["root"])
        chips = driver.find_elements(By.CSS_SELECTOR, ".chips a")
        assert ["service", "time"] == [chip.text.split()[0] for chip in chips[:2]]
        chips[0].click()
        until(lambda: users(driver) == ["root", "alice"])


def test_the_keyboard_reaches_everything(monitor, tmp_path):
    """The skip link comes first; each chart is one stop, arrows walk in it, Enter follows."""
    for minutes in (0, 3 * 60, 2 * 24 * 60):
        recent(monitor, "alice", minutes)
    with browser(tmp_path) as driver:
        driver.get(monitor.address.page(monitor.keys.page_key))
        stops = []
        while "192.0.2.7" not in stops:  # of the list
            driver.switch_to.active_element.send_keys(Key.TAB)
            stops.append(driver.execute_script(WHERE))
        assert "Skip to the list of logins" == stops[0]
        assert 1 == sum(stop.startswith("chart bars") for stop in stops)
        assert 1 == sum(stop.startswith("chart cells") for stop in stops)
        assert {"Pause", "More", "Filter", "As a table", "alice"} <= set(stops)
        assert stops.index("Logins") < stops.index("Pause") < stops.index("24 hours")
        newest = named(driver, "#calendar", ": 2")
        driver.execute_script("arguments[0].focus()", newest)
        newest.send_keys(Key.ARROW_LEFT)
        assert driver.switch_to.active_element.get_attribute("aria-label").endswith(": 1")
        driver.switch_to.active_element.send_keys(Key.HOME, Key.ENTER)
        until(lambda: users(driver) == ["alice"])


def test_a_reader_of_the_screen_hears_names(monitor, tmp_path):
    """Nothing that can be used is without a name, no id stands twice, and headings are there."""
    recent(monitor, "alice")
    with browser(tmp_path) as driver:
        for page in ("", "monitors", "monitors/1"):
            driver.get(monitor.address.page(monitor.keys.page_key))
            driver.get(f"{monitor.address.url}/{page}")
            assert [] == driver.execute_script(NAMELESS)
            assert 1 == len(driver.find_elements(By.TAG_NAME, "h1"))
            assert [] == complaints(driver)


def test_commands_of_the_empty_page_can_be_copied(monitor, tmp_path):
    """A button puts the command into the clipboard; who wants no motion gets none."""
    with browser(tmp_path) as driver:
        emulate(driver, prefers_reduced_motion="reduce")
        driver.get(monitor.address.page(monitor.keys.page_key))
        allowed = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
        driver.execute_cdp_cmd("Browser.grantPermissions", allowed)
        button = driver.find_element(By.CSS_SELECTOR, "button.copy")
        button.click()
        until(lambda: button.text == "Copied")
        read = "navigator.clipboard.readText().then(arguments[0], String)"
        assert "sudo true" == driver.execute_async_script(read)
        assert 0 == driver.execute_script("return document.getAnimations().length")


def test_charts_and_filters_work_without_script(monitor, tmp_path):
    """A bar is a link, the numbers stand in a table, times and kinds are fields of the form."""
    recent(monitor, "alice")
    recent(monitor, "root", service="sudo")
    with browser(tmp_path, NO_SCRIPT) as driver:
        driver.get(monitor.address.page(monitor.keys.page_key))
        driver.find_element(By.CSS_SELECTOR, "#bars summary").click()
        assert "sshd sudo All" in driver.find_element(By.CSS_SELECTOR, "#bars table").text
        driver.find_element(By.CSS_SELECTOR, ".more summary").click()
        driver.find_element(By.NAME, "verified").send_keys("unknown")
        driver.find_element(By.NAME, "service").send_keys("sudo", Key.ENTER)
        until(lambda: users(driver) == ["root"])
        assert driver.current_url.endswith("/?service=sudo&verified=unknown")
        named(driver, "#calendar", ": 1").click()
        until(lambda: "since=" in driver.current_url)
        assert ["root"] == users(driver)


def test_the_password_form_works(tmp_path):
    """Also on a name that is not trusted more than others, and whatever the page's headers say."""
    path = tmp_path / "password"
    path.write_text("correct-horse")
    path.chmod(0o600)
    options = {"place": "web1", "page_password_file": str(path)}
    with running_monitor(tmp_path / "data", **options) as (_, caller), browser(tmp_path) as driver:
        for name in ("127.0.0.1", "page.localhost"):
            driver.get(f"http://{name}:{caller.address.port}/")
            driver.find_element(By.ID, "password").send_keys("wrong", Key.ENTER)
            until(lambda: driver.find_elements(By.ID, "wrong"))
            driver.find_element(By.ID, "password").send_keys("correct-horse", Key.ENTER)
            until(lambda: driver.find_elements(By.ID, "live"))
            driver.find_element(By.CSS_SELECTOR, "footer button").click()
            until(lambda: driver.find_elements(By.ID, "password"))


# Returns what has the focus: its name, or the chart that it is in.
WHERE = """
const at = document.activeElement;
const chart = at.closest("[data-roving]");
if (chart) return `chart ${chart.getAttribute("class")}`;
return at.textContent.trim() || at.id || at.tagName;
"""

# Returns what can be used but has no name, and ids that stand twice.
NAMELESS = """
const found = [];
for (const node of document.querySelectorAll("a, button, input:not([type=hidden]), select, svg")) {
  const label = node.labels?.[0]?.textContent || node.getAttribute("aria-label");
  const hidden = node.getAttribute("aria-hidden") === "true";
  if (!(label || (node.tagName !== "svg" && node.textContent) || "").trim() && !hidden)
    found.push(node.outerHTML.slice(0, 200));
}
const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
found.push(...ids.filter((id, at) => ids.indexOf(id) !== at));
for (const cell of document.querySelectorAll("th")) if (!cell.scope) found.push(cell.outerHTML);
for (const table of document.querySelectorAll("table")) if (!table.caption) found.push("caption");
return found;
"""

# Returns the texts whose contrast to what lies behind them is below 4.5.
PALE = """
const light = (color) => {
  const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((x) => {
    const c = x / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (node) => {
  const color = getComputedStyle(node).backgroundColor;
  return color === "rgba(0, 0, 0, 0)" && node.parentElement ? behind(node.parentElement) : color;
};
const pale = [];
for (const node of document.body.querySelectorAll("*")) {
  const own = [...node.childNodes].some((x) => x.nodeType === 3 && x.data.trim());
  if (!own || !node.checkVisibility()) continue;
  const style = getComputedStyle(node);
  const ink = node instanceof SVGElement ? style.fill : style.color;
  if (node.tagName === "title") continue;
  const pair = [ink, behind(node)].map(light).sort((a, b) => b - a);
  if ((pair[0] + 0.05) / (pair[1] + 0.05) < 4.5) pale.push(node.outerHTML);
}
return pale;
"""
