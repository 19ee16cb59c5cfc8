"""Opens a page from disk in headless Chromium and drives it as a reader does: real clicks, keys and pictures."""

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import Select, WebDriverWait

SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
_DRAWN = "return [...document.querySelectorAll('.canvas')].every((plot) => plot.querySelector('.trace, .hm image'))"


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Yields a browser that can reach no host and writes down its console and its requests."""
    driver = shutil.which("chromedriver")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if driver is None or program is None:
        pytest.skip("no chromium with chromedriver on the path")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for switch in SWITCHES:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield chrome
    finally:
        chrome.quit()


def show(chrome: webdriver.Chrome, page: Path, width: int = 1280, theme: str = "light") -> None:
    """Opens the page and waits until every figure is drawn."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    scheme = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
    chrome.get_log("browser"), chrome.get_log("performance")
    chrome.get(page.as_uri())
    chrome.execute_script("localStorage.clear()")
    chrome.refresh()
    drawn(chrome)


def drawn(chrome: webdriver.Chrome) -> None:
    """Waits until every figure is drawn."""
    WebDriverWait(chrome, 60).until(lambda chrome: chrome.execute_script(_DRAWN))


def requested(chrome: webdriver.Chrome) -> set[str]:
    """Returns the addresses that the page asked for, those inside itself left out."""
    events = [json.loads(entry["message"])["message"] for entry in chrome.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return {address for address in asked if not address.startswith(("data:", "blob:"))}


def complaints(chrome: webdriver.Chrome) -> list[dict[str, Any]]:
    """Returns what is on the console."""
    return list(chrome.get_log("browser"))


def picture(chrome: webdriver.Chrome, element: str) -> Image.Image:
    """Returns what the element of that id looks like, in pixels of the page."""
    found = chrome.find_element("id", element)
    chrome.execute_script("arguments[0].scrollIntoView({ block: 'center' })", found)
    return Image.open(io.BytesIO(found.screenshot_as_png)).convert("RGB")


def choose(chrome: webdriver.Chrome, menu: str, place: int) -> None:
    """Chooses an option of the menu that a CSS selector finds, by its place from 0."""
    found = chrome.find_element("css selector", menu)
    Select(found).select_by_index(place)
    # WebDriver's choice fires `change` alone; a reader's fires `input` too.
    chrome.execute_script("arguments[0].dispatchEvent(new Event('input', { bubbles: true }))", found)
