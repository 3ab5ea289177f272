"""The phones on a web page, and as JSON for programs."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from device_sim.smsc.phones import Phones

_PAGE = """<!doctype html>
<html lang="zh-Hans">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>客户手机 · Customers' phones</title>
<style>
  :root { color-scheme: light; --ink: #1c2530; --soft: #6b7785; --paper: #eef1f4; --bell: #0b6e99; }
  * { box-sizing: border-box; }
  body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.5;
    font-family: "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "PingFang SC",
      "Microsoft YaHei", "WenQuanYi Micro Hei", system-ui, sans-serif; }
  header { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: baseline; padding: 1rem 1.25rem;
    background: #fff; border-bottom: 1px solid #d9dfe5; position: sticky; top: 0; }
  h1 { font-size: 1.2rem; margin: 0; }
  header p { margin: 0; color: var(--soft); font-size: .9rem; }
  input { font: inherit; padding: .3rem .6rem; border: 1px solid #c3ccd4; border-radius: .5rem; margin-left: auto; }
  main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); gap: 1.25rem;
    padding: 1.25rem; }
  .phone { background: #10161d; border-radius: 1.6rem; padding: .7rem; box-shadow: 0 6px 20px #0002; }
  .screen { background: #f8fafb; border-radius: 1.1rem; height: 24rem; display: flex; flex-direction: column;
    overflow: hidden; }
  .screen h2 { margin: 0; padding: .6rem .9rem .5rem; font-size: .95rem; font-weight: 600; text-align: center;
    font-variant-numeric: tabular-nums; border-bottom: 1px solid #e3e8ec; background: #fff; }
  .texts { overflow-y: auto; padding: .7rem; flex: 1; }
  .text { background: #e3e8ee; border-radius: 1rem 1rem 1rem .25rem; padding: .5rem .75rem; margin: 0 0 .2rem;
    max-width: 95%; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .95rem; }
  .new { background: #cfe8f4; }
  .when { color: var(--soft); font-size: .75rem; margin: 0 0 .7rem .3rem; }
  .none { padding: 3rem 1.25rem; color: var(--soft); }
</style>
<header><h1>客户手机 · Customers' phones</h1><p id="sum" role="status"></p>
<input id="find" type="search" placeholder="号码 / number" aria-label="号码 / number"></header>
<main id="phones"></main>
<p class="none" id="none">还没有短信。 No texts yet.</p>
<script>
const main = document.getElementById("phones"), find = document.getElementById("find");
let last = "", shown = [];
function draw() {
  const wanted = shown.filter(p => p.phone.includes(find.value.trim())).slice(0, 120);
  main.replaceChildren(...wanted.map(p => {
    const box = document.createElement("article"); box.className = "phone";
    const screen = document.createElement("div"); screen.className = "screen";
    const title = document.createElement("h2"); title.textContent = p.phone;
    const texts = document.createElement("div"); texts.className = "texts"; texts.tabIndex = 0;
    p.texts.forEach((t, i) => {
      const bubble = document.createElement("p");
      bubble.className = i === p.texts.length - 1 ? "text new" : "text"; bubble.textContent = t.text;
      const when = document.createElement("p"); when.className = "when";
      when.textContent = new Date(t.at).toLocaleString() + (t.from ? " · " + t.from : "") +
        (t.parts > 1 ? " · " + t.parts + " 条 / parts" : "");
      texts.append(bubble, when);
    });
    screen.append(title, texts); box.append(screen);
    requestAnimationFrame(() => { texts.scrollTop = texts.scrollHeight; });
    return box;
  }));
  document.getElementById("none").hidden = wanted.length > 0;
}
async function look() {
  try {
    const text = await (await fetch("phones.json", {cache: "no-store"})).text();
    if (text !== last) {
      last = text; shown = JSON.parse(text); draw();
      const n = shown.reduce((sum, p) => sum + p.texts.length, 0);
      document.getElementById("sum").textContent = shown.length + " 部手机 / phones, " + n + " 条短信 / texts";
    }
  } catch { document.getElementById("sum").textContent = "短信中心没有应答 · The centre does not answer"; }
  setTimeout(look, 1500);
}
find.addEventListener("input", draw); look();
</script>
</html>
"""


class Page(ThreadingHTTPServer):
    """Serves `/`, `/phones.json` and `/counts.json`."""

    daemon_threads = True

    def __init__(self, phones: Phones, host: str, port: int) -> None:
        super().__init__((host, port), _Handler)
        self.phones = phones


class _Handler(BaseHTTPRequestHandler):
    server: Page

    def do_GET(self) -> None:  # the name http.server calls
        """Answer one request."""
        path = self.path.partition("?")[0]
        if path == "/":
            self._send(_PAGE, "text/html")
        elif path == "/phones.json":
            self._send(_json(self.server.phones.document()), "application/json")
        elif path == "/counts.json":
            self._send(_json(self.server.phones.counts()), "application/json")
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name http.server uses
        """Say nothing: the page asks every second."""

    def _send(self, text: str, kind: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False)
