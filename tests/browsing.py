"""Opens a page in headless Chromium with a script that looks at it."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

SWITCHES = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update"),
    *("--disable-background-networking", "--disable-sync", "--virtual-time-budget=20000", "--dump-dom"),
)
FIRST = """
<script>
const steps = [];
window.addEventListener("error", (event) => steps.push(["error", event.message]));
document.addEventListener("securitypolicyviolation", (event) => steps.push(["refused", event.violatedDirective]));
</script>
"""
"""Put before the page's own scripts; makes `steps`, and notes what goes wrong."""


def browse(text: str, folder: Path, probe: str, *switches: str) -> dict[str, list[object]]:
    """Returns what a probe saw in a real browser: of each of its `steps` the name and what follows."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium on the path")
    page = folder / "report.html"
    page.write_text(text.replace("</body>", f"{probe}</body>"))
    profile = f"--user-data-dir={folder / 'profile'}"
    done = subprocess.run(
        [program, *SWITCHES, *switches, profile, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    steps = json.loads(unescape(re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.S).group(1)))
    return {name: rest for name, *rest in steps}
