"""Looks at a page in a real browser, as a person would: on a phone and on a desk, by day and by night, and on paper.

Says what is wrong, one line each, and ends with 1 if anything is. With --keep DIR the pictures stay there.
The browser is asked over two pipes (Chrome DevTools Protocol), so that nothing but Python is needed.
"""

import argparse
import base64
import fcntl
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time

PATIENCE = 90

# What stands wider than the window, and every text with too little contrast to what lies behind it (WCAG 2.1, 1.4.3).
JUDGE = r"""
(() => {
  const wrong = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) wrong.push(`it is ${root.scrollWidth} wide in a window of ${root.clientWidth}`);
  for (const element of document.body.querySelectorAll('*')) {
    if (element.closest('thead') || element.closest('.shapes') || element.closest('svg') !== null) continue;
    const box = element.getBoundingClientRect();
    if (box.right > root.clientWidth + 1 && box.width > 0) wrong.push(`<${element.tagName} class=${element.className}> reaches to ${box.right}`);
  }
  const channel = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const parse = text => (text.match(/[\d.]+/g) || []).map(Number);
  const seen = new Set();
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.data.trim()) continue;
    const element = node.parentElement;
    if (['STYLE', 'SCRIPT', 'title'].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const ink = parse(element.closest('svg') ? style.fill : style.color);
    let behind = element, ground = null;
    while (behind && !ground) {
      const colour = parse(getComputedStyle(behind).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) ground = colour;
      behind = behind.parentElement;
    }
    ground = ground || [255, 255, 255];
    const [one, two] = [light(ink), light(ground)];
    const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    texts += 1;
    const key = `${style.color} on ${ground}`;
    if (ratio < 4.5 && !seen.has(key)) { seen.add(key); wrong.push(`contrast ${ratio.toFixed(2)} of "${node.data.trim().slice(0, 40)}" (${key})`); }
  }
  if (texts < 20) wrong.push(`only ${texts} texts are there`);
  let level = 0;
  for (const heading of document.querySelectorAll('h1,h2,h3,h4')) {
    const now = Number(heading.tagName[1]);
    if (now > level + 1) wrong.push(`heading "${heading.textContent}" skips a level`);
    level = now;
  }
  if (document.querySelectorAll('h1').length !== 1) wrong.push('there is not one first heading');
  if (document.documentElement.lang !== 'en') wrong.push('it does not say its language');
  for (const drawing of document.querySelectorAll('svg')) {
    const hidden = drawing.closest('[aria-hidden=true]');
    if (!hidden && !(drawing.getAttribute('role') === 'img' && drawing.getAttribute('aria-label'))) wrong.push('a drawing says nothing to who does not see it');
  }
  for (const table of document.querySelectorAll('table')) {
    if (!table.caption) wrong.push('a table has no caption');
    for (const head of table.querySelectorAll('th')) if (!head.scope) wrong.push('a heading of a table has no scope');
  }
  for (const use of document.querySelectorAll('use')) {
    if (!document.querySelector(use.getAttribute('href'))) wrong.push(`no shape is called ${use.getAttribute('href')}`);
  }
  for (const link of document.querySelectorAll('a[href]')) {
    if (!document.getElementById(link.getAttribute('href').slice(1))) wrong.push(`${link.getAttribute('href')} leads nowhere`);
  }
  const ids = [...document.querySelectorAll('[id]')].map(element => element.id);
  if (new Set(ids).size !== ids.length) wrong.push('two elements have one name');
  if (document.querySelector('script')) wrong.push('there is a script');
  return JSON.stringify(wrong);
})()
"""


class Browser:
    """A browser without a window, with a profile of its own that goes with it."""

    def __init__(self, program):
        self.profile = tempfile.mkdtemp(prefix="page-")
        to_read, self.write = os.pipe()
        self.read, to_write = os.pipe()
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (to_read, to_write)]

        def as_three_and_four():
            os.dup2(theirs[0], 3)
            os.dup2(theirs[1], 4)

        command = [program, "--headless", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--hide-scrollbars",
                   "--disable-dev-shm-usage", f"--user-data-dir={self.profile}"]
        if os.geteuid() == 0:
            command.append("--no-sandbox")
        self.process = subprocess.Popen(command, pass_fds=(3, 4), preexec_fn=as_three_and_four, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in [to_read, to_write, *theirs]:
            os.close(fd)
        self.number, self.rest, self.events, self.session = 0, b"", [], None

    def next(self, until):
        while b"\0" not in self.rest:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.read], [], [], left)[0]:
                raise SystemExit("the browser does not answer")
            got = os.read(self.read, 1 << 20)
            if not got:
                raise SystemExit("the browser went away")
            self.rest += got
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while True:
            reply = self.next(until)
            if reply.get("id") == self.number:
                if "error" in reply:
                    raise SystemExit(f"{method}: {reply['error']}")
                return reply["result"]
            self.events.append(reply)

    def wait_for(self, event):
        until = time.monotonic() + PATIENCE
        while not any(one.get("method") == event for one in self.events):
            self.events.append(self.next(until))

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)


def looked_at(browser, page, width, scheme, keep):
    """What is wrong with the page at this width and in this light."""
    wrong = []
    browser.events.clear()
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    address = pathlib.Path(page).resolve().as_uri()
    browser.call("Page.navigate", url=address)
    browser.wait_for("Page.loadEventFired")
    # What is folded up is looked at, too.
    unfold = "document.querySelectorAll('details').forEach((part, at) => { part.open = %s; })"
    for fold, name in [("at < 0", ""), ("true", " unfolded")]:
        browser.call("Runtime.evaluate", expression=unfold % fold)
        judged = browser.call("Runtime.evaluate", expression=JUDGE)["result"]
        if judged.get("type") != "string":
            raise SystemExit(f"the page could not be judged: {judged}")
        wrong += [one + name for one in json.loads(judged["value"])]
        if keep and not name:
            shot = browser.call("Page.captureScreenshot", captureBeyondViewport=True)
            pathlib.Path(keep, f"{width}-{scheme}.png").write_bytes(base64.b64decode(shot["data"]))
    for event in browser.events:
        said = event.get("params", {})
        if event["method"] == "Network.requestWillBeSent":
            url = said["request"]["url"]
            if url != address and not url.startswith("data:"):
                wrong.append(f"it asks for {url}")
        if event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"):
            wrong.append(f"the browser says: {json.dumps(said)[:300]}")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("page")
    parser.add_argument("--browser", default="chromium")
    parser.add_argument("--keep")
    given = parser.parse_args()
    browser = Browser(given.browser)
    found = []
    try:
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        browser.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            browser.call(f"{domain}.enable")
        for width in (360, 1280):
            for scheme in ("light", "dark"):
                found += [f"{width} {scheme}: {one}" for one in looked_at(browser, given.page, width, scheme, given.keep)]
        paper = base64.b64decode(browser.call("Page.printToPDF")["data"])
        if not paper.startswith(b"%PDF"):
            found.append("it cannot be printed")
        if given.keep:
            pathlib.Path(given.keep, "paper.pdf").write_bytes(paper)
    finally:
        browser.end()
    print("\n".join(found))
    return 1 if found else 0


sys.exit(main())
