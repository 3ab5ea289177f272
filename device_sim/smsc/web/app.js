// The page of the SMS centre: phones, binds and faults, looked at once a second.
"use strict";

const WORDS = {
  zh: {
    title: "客户手机", find: "按号码查找", phones: "手机", binds: "连接", faults: "故障", reset: "全部复位",
    sum: (c) => `${c.phones} 部手机 · ${c.texts} 条短信 · ${c.segments} 段 · 待报回执 ${c.reports_owed}`,
    away: "短信中心没有应答", other: "English",
    none: "还没有短信。\n网关发来的短信会显示在这里；在上面输入完整号码，可以用那部手机发短信。",
    quiet: "安静模式：只计数，不显示手机。", nobind: "还没有网关连接。", nothing: "没有短信", message: "回复…", send: "发送",
    ways: "发送方式", parts: (n) => `${n} 段`, sending: "发送中", done: "已收妥", refused: "被拒绝", lost: "不完整",
    to: "发往", encoding: "字符集", order: "分段顺序", missing: "丢失", twice: "重复", sender: "发送方（可用名称）", join: "分段标记",
    any: "自动", in: "顺序", reversed: "倒序", shuffled: "乱序", "": "无", first: "首段", last: "末段", yes: "每段两次", no: "否",
    inrate: "收 /秒", outrate: "发 /秒", unanswered: "未应答", underway: "未确认", submitted: "已提交", taken: "已接收",
    drop: "断开", unbind: "解绑", enquire: "查询", strange: "怪命令", alert: "提醒", up: (s) => `已连 ${span(s)}`,
    receipts: "回执", ids: "编号", pace: "限速", errors: "错误", answers: "应答", line: "线路", bindings: "绑定", strangeness: "意外", chance: "随机",
    slow: "慢运营商", lossy: "丢回执", shaky: "断线", mute: "不应答", messy: "编号混乱",
  },
  en: {
    title: "Customers' phones", find: "Find a number", phones: "Phones", binds: "Binds", faults: "Faults", reset: "Reset all",
    sum: (c) => `${c.phones} phones · ${c.texts} texts · ${c.segments} segments · ${c.reports_owed} reports owed`,
    away: "The centre does not answer", other: "中文",
    none: "No texts yet.\nWhat gateways send appears here. Type a whole number above to write from that phone.",
    quiet: "Quiet mode: counts only, no phones.", nobind: "No gateway is bound.", nothing: "No texts", message: "Reply…", send: "Send",
    ways: "How it is sent", parts: (n) => `${n} parts`, sending: "sending", done: "taken", refused: "refused", lost: "incomplete",
    to: "To", encoding: "Alphabet", order: "Order of parts", missing: "Missing", twice: "Repeated", sender: "Sender (or a name)", join: "Joined by",
    any: "automatic", in: "in order", reversed: "reversed", shuffled: "shuffled", "": "none", first: "first part", last: "last part", yes: "each twice", no: "no",
    inrate: "in /s", outrate: "out /s", unanswered: "unanswered", underway: "under way", submitted: "submitted", taken: "taken",
    drop: "Drop", unbind: "Unbind", enquire: "Enquire", strange: "Strange PDU", alert: "Alert", up: (s) => `up ${span(s)}`,
    receipts: "Delivery reports", ids: "Message ids", pace: "Throttling", errors: "Errors", answers: "Answers", line: "The line",
    bindings: "Binds", strangeness: "The unexpected", chance: "Chance",
    slow: "Slow carrier", lossy: "Lost reports", shaky: "Shaky line", mute: "No answers", messy: "Messy ids",
  },
};
const CHOICES = {
  any: "任意", same: "相同", other: "另一连接", before: "接收前", taken: "接收后未应答", half: "应答写一半", answered: "应答后",
  decimal: "十进制", zeros: "补前导零", hex: "十六进制小写", HEX: "十六进制大写", empty: "空", unknown: "未知编号",
  both: "两处都有", tlv: "仅可选参数", text: "仅正文", payload: "message_payload",
};
const GROUP_WORDS = { binds: "bindings", strange: "strangeness" };
const PRESETS = {
  slow: { rate: 100, receipt_delay: "2-30", answer_delay: "0.05-0.3" },
  lossy: { receipt_loss: 0.1, receipt_double: 0.05, receipt_early: 0.2, receipt_shuffle: true },
  shaky: { drop: 0.01, pieces: 7 },
  mute: { answer_never: 0.02, answer_late: 0.02, deaf: true },
  messy: { id_style: "hex", receipt_id_style: "decimal", receipt_unknown: 0.05 },
};
const MOST = 60;
const ICONS = {
  send: "M3.4 20.4 21 12 3.4 3.6 3 10l11 2-11 2z",
  ways: "M5 10a2 2 0 1 0 0 4 2 2 0 0 0 0-4zm7 0a2 2 0 1 0 0 4 2 2 0 0 0 0-4zm7 0a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
};

let language = localStorage.getItem("language") || (navigator.language.startsWith("zh") ? "zh" : "en");
let revision = 0, counts = null, quiet = false, options = [];
const phones = new Map(), binds = new Map();
const $ = (id) => document.getElementById(id);
const t = (key, ...more) => {
  const word = WORDS[language][key];
  return typeof word === "function" ? word(...more) : (word ?? key);
};

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function drawing(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function icon(name) {
  const svg = drawing("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" });
  svg.append(drawing("path", { d: ICONS[name], fill: "currentColor" }));
  return svg;
}

async function ask(path, body) {
  const more = body === undefined ? { cache: "no-store" }
    : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, more);
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.message);
  return found;
}

function span(seconds) {
  const s = Math.floor(seconds), m = Math.floor(s / 60), h = Math.floor(m / 60);
  return h ? `${h} h ${m % 60} min` : m ? `${m} min` : `${s} s`;
}

function spaced(number) {
  const found = /^\+86(\d{3})(\d{4})(\d{4})$/.exec(number);
  return found ? `+86 ${found.slice(1).join(" ")}` : number;
}

function clock(at) {
  const date = new Date(at), today = date.toDateString() === new Date().toDateString();
  const time = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
  const words = language === "zh" ? "zh-CN" : "en-GB";
  return today ? date.toLocaleTimeString(words, time)
    : date.toLocaleString(words, { month: "numeric", day: "numeric", ...time });
}

// The phones.

function newPhone(number) {
  const box = make("textarea", { rows: 1, placeholder: t("message"), "aria-label": `${t("message")} ${number}` });
  const go = make("button", { type: "submit", className: "round go", disabled: true, "aria-label": t("send") }, icon("send"));
  const note = make("p", { className: "note", hidden: true, role: "alert" });
  const ways = make("div", { className: "ways", hidden: true });
  const more = make("button", {
    type: "button", className: "round", "aria-label": t("ways"), title: t("ways"), "aria-expanded": "false",
    onclick: () => {
      if (!ways.childElementCount) ways.append(...wayFields());
      ways.hidden = !ways.hidden;
      more.setAttribute("aria-expanded", String(!ways.hidden));
    },
  }, icon("ways"));
  const form = make("form", { className: "reply", onsubmit: (event) => { event.preventDefault(); send(); } },
    ways, note, make("div", { className: "line" }, more, box, go));
  const list = make("div", { className: "texts", tabIndex: 0, "aria-label": number });
  const card = make("article", { className: "phone" },
    make("div", { className: "screen" }, make("h2", {}, spaced(number)), list, form));
  box.addEventListener("input", () => {
    go.disabled = !box.value;
    box.style.height = "auto";
    box.style.height = `${Math.max(35, box.scrollHeight + 2)}px`;
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); }
  });
  async function send() {
    if (!box.value) return;
    const draft = { text: box.value };
    for (const field of ways.querySelectorAll("[name]")) {
      if (field.value !== "") draft[field.name] = field.name === "twice" ? true : field.value;
    }
    try {
      await ask(`phones/${number.replace("+", "")}/send`, draft);
      box.value = ""; box.style.height = ""; go.disabled = true; note.hidden = true;
      look();
    } catch (problem) { note.textContent = problem.message; note.hidden = false; }
  }
  return { number, card, list, revision: 0, shown: 0 };
}

function wayFields() {
  const pick = (name, ...values) => make("label", {}, t(name),
    make("select", { name }, ...values.map(([value, word]) => make("option", { value }, word))));
  return [
    make("label", {}, t("to"), make("input", { name: "to", placeholder: t("any") })),
    make("label", {}, t("sender"), make("input", { name: "sender", maxLength: 20 })),
    pick("encoding", ["", t("any")], ["gsm7", "GSM 7"], ["ucs2", "UCS-2"], ["latin1", "Latin-1"]),
    pick("join", ["", "UDH 8"], ["udh16", "UDH 16"], ["sar", "SAR"]),
    pick("order", ["", t("in")], ["reversed", t("reversed")], ["shuffled", t("shuffled")]),
    pick("missing", ["", t("")], ["first", t("first")], ["last", t("last")]),
    pick("twice", ["", t("no")], ["true", t("yes")]),
  ];
}

function fill(phone, found) {
  const lines = [
    ...found.texts.map((text) => ({ ...text, mine: false })),
    ...found.sent.map((text) => ({ ...text, mine: true })),
  ];
  lines.forEach((line, index) => { line.index = index; });
  lines.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : a.index - b.index));
  const low = phone.list.scrollHeight - phone.list.scrollTop - phone.list.clientHeight < 40;
  const fresh = phone.revision ? phone.shown : lines.length;
  phone.list.replaceChildren(...(lines.length ? lines.flatMap((line, n) => bubble(line, n >= fresh))
    : [make("p", { className: "empty" }, t("nothing"))]));
  phone.shown = lines.length;
  phone.revision = found.revision || 0;
  phone.found = found;
  if (low || !fresh) phone.list.scrollTop = phone.list.scrollHeight;
}

function bubble(line, fresh) {
  const side = line.mine ? " mine" : "";
  const text = make("p", { className: `text${side}${fresh ? " fresh" : ""}`, dir: "auto" }, line.text);
  const facts = [clock(line.at), line.mine ? `→ ${line.to}` : line.from];
  if (line.parts > 1) facts.push(t("parts", line.parts));
  const when = make("p", { className: `when${side}` }, facts.filter(Boolean).join(" · "));
  if (line.mine) when.append(" · ", state(line));
  return [text, when];
}

function state(line) {
  if (line.refused) {
    const code = `0x${line.refused.toString(16).toUpperCase().padStart(2, "0")}`;
    return make("span", { className: "bad" }, `${t("refused")} ${code}`);
  }
  return line.left > 0 ? make("span", {}, t("sending")) : make("span", { className: "good" }, `✓ ${t("done")}`);
}

function wanted() { return $("find").value.replace(/[\s+-]/g, ""); }

function drawPhones(found) {
  for (const one of found) {
    const phone = phones.get(one.phone) || newPhone(one.phone);
    phones.set(one.phone, phone);
    if (!phone.card.isConnected) phones.fresh = true;
    fill(phone, one);
  }
  const asked = wanted(), number = `+${asked}`;
  if (/^\d{11,15}$/.test(asked) && !phones.has(number)) {
    phones.set(number, newPhone(number));
    fill(phones.get(number), { texts: [], sent: [] });
  }
  const order = [...phones.values()].sort((a, b) => b.revision - a.revision);
  for (const gone of order.slice(MOST)) { phones.delete(gone.number); gone.card.remove(); }
  arrange(order.slice(0, MOST));
  $("none").hidden = order.length > 0;
  $("none").textContent = quiet ? t("quiet") : t("none");
}

function arrange(order) {
  const main = $("phones");
  const busy = main.contains(document.activeElement);  // a card must not run away from who types in it
  order.forEach((phone, place) => {
    const there = main.children[place];
    if (there === phone.card || (busy && phone.card.isConnected)) return;
    const inside = phone.card.isConnected, scrolled = phone.list.scrollTop;
    main.insertBefore(phone.card, there || null);
    phone.list.scrollTop = inside ? scrolled : phone.list.scrollHeight;
  });
}

// The binds.

function drawBinds(found, now) {
  $("bindCount").textContent = found.length;
  for (const number of binds.keys()) if (!found.some((one) => one.number === number)) binds.delete(number);
  for (const one of found) {
    const before = binds.get(one.number) || { incoming: [], outgoing: [] };
    const passed = before.now ? Math.max(0.2, now - before.now) : 0;
    const rate = (name) => (passed ? Math.max(0, (one[name] - before[name]) / passed) : 0);
    const incoming = [...before.incoming, rate("submitted")].slice(-60);
    const outgoing = [...before.outgoing, rate("handed")].slice(-60);
    binds.set(one.number, { ...one, now, incoming, outgoing });
  }
  if ($("bindList").contains(document.activeElement) && $("bindList").matches(":active")) return;
  const focus = document.activeElement?.dataset?.key;
  $("bindList").replaceChildren(...(found.length ? found.map((one) => bindCard(binds.get(one.number)))
    : [make("p", { className: "calm" }, t("nobind"))]));
  if (focus) $("bindList").querySelector(`[data-key="${focus}"]`)?.focus();
}

function bindCard(bind) {
  const figure = (word, value, colour) => make("div", {},
    make("dt", {}, ...(colour ? [make("i", { style: `background:var(${colour})` })] : []), t(word)),
    make("dd", {}, String(value)));
  const errors = Object.entries(bind.statuses).map(([status, times]) => `${status} × ${times}`).join(" · ");
  return make("article", { className: "bind" },
    make("div", { className: "name" },
      make("span", { className: `kind ${bind.kind}` }, bind.kind), make("b", {}, bind.account || bind.peer),
      make("small", { title: bind.peer }, t("up", bind.seconds))),
    curves(bind),
    make("dl", {},
      figure("inrate", Math.round(bind.incoming.at(-1)), "--in"), figure("outrate", Math.round(bind.outgoing.at(-1)), "--out"),
      figure("unanswered", bind.unanswered), figure("underway", bind.under_way),
      figure("submitted", bind.submitted), figure("taken", bind.taken)),
    ...(errors ? [make("p", { className: "errors" }, errors)] : []),
    make("div", { className: "deeds" }, ...["drop", "unbind", "enquire", "strange", "alert"].map((deed) =>
      make("button", {
        type: "button", className: "quiet", "data-key": `${bind.number}-${deed}`,
        onclick: () => ask(`binds/${bind.number}/${deed}`, {}).then(look).catch(complain),
      }, t(deed)))));
}

function curves(bind) {
  const most = Math.max(5, ...bind.incoming, ...bind.outgoing);
  const svg = drawing("svg", { viewBox: "0 0 118 40", preserveAspectRatio: "none", "aria-hidden": "true" });
  svg.append(drawing("line", { x1: 0, x2: 118, y1: 39, y2: 39, class: "base", "vector-effect": "non-scaling-stroke" }));
  for (const name of ["outgoing", "incoming"]) {
    const values = bind[name], points = values.map((value, n) => `${(60 - values.length + n) * 2},${38 - value / most * 35}`);
    const style = name === "incoming" ? "in" : "out";
    svg.append(drawing("polyline", { class: style, points: points.join(" "), "vector-effect": "non-scaling-stroke" }));
  }
  return svg;
}

// The faults.

function drawFaults(found) {
  options = found;
  const groups = new Map();
  for (const option of found) groups.set(option.group, [...(groups.get(option.group) || []), option]);
  const open = new Set([...document.querySelectorAll("details[open]")].map((one) => one.dataset.group));
  const first = !$("groups").childElementCount;
  $("groups").replaceChildren(...[...groups].map(([name, members]) => {
    const set = members.filter(isSet).length;
    const summary = make("summary", {}, t(GROUP_WORDS[name] || name));
    if (set) summary.append(" ", make("b", {}, String(set)));
    return make("details", { open: open.has(name) || (first && set > 0), "data-group": name }, summary, ...members.map(optionRow));
  }));
  const set = found.filter(isSet).length;
  $("faultCount").textContent = set;
  $("faultCount").hidden = !set;
  $("presets").replaceChildren(...Object.keys(PRESETS).map((name) =>
    make("button", { type: "button", className: "quiet", onclick: () => change(PRESETS[name]) }, t(name))));
}

function isSet(option) { return String(option.value) !== String(option.standard); }

function optionRow(option) {
  const id = `option-${option.name}`;
  const label = make("label", { htmlFor: id }, language === "zh" ? option.zh : option.name.replaceAll("_", " "));
  const wide = ["statuses", "refusals"].includes(option.kind);
  return make("div", { className: `option${isSet(option) ? " set" : ""}${wide ? " wide" : ""}`, title: option.text },
    label, control(option, id), make("p", {}, language === "zh" && !wide ? "" : option.text));
}

function control(option, id) {
  const apply = (value) => change({ [option.name]: value });
  if (option.kind === "switch") {
    return make("input", { id, type: "checkbox", checked: option.value, onchange: (event) => apply(event.target.checked) });
  }
  if (option.kind === "choice") {
    const select = make("select", { id, onchange: (event) => apply(event.target.value) },
      ...option.choices.map((choice) => make("option", { value: choice }, named(choice))));
    select.value = option.value;
    return select;
  }
  if (option.kind === "share") {
    const shown = Number((option.value * 100).toFixed(4));
    return make("div", { className: "unit" },
      make("input", { id, inputMode: "decimal", value: shown, onchange: (event) => apply(`${event.target.value || 0}%`) }),
      make("span", {}, "%"));
  }
  return make("input", { id, value: option.value, onchange: (event) => apply(event.target.value || (typeof option.standard === "number" ? 0 : "")) });
}

function named(choice) { return (language === "zh" && CHOICES[choice]) || choice; }

async function change(values) {
  try {
    drawFaults(await ask("behaviour.json", values));
    $("problem").hidden = true;
  } catch (problem) { complain(problem); }
}

function complain(problem) {
  $("problem").textContent = problem.message;
  $("problem").hidden = false;
}

// The whole.

function drawWords() {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  document.title = t("title");
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  $("find").placeholder = t("find");
  $("find").setAttribute("aria-label", t("find"));
  $("language").textContent = t("other");
  $("language").lang = language === "zh" ? "en" : "zh-Hans";
  drawFaults(options);
  if (counts) { $("sum").textContent = t("sum", counts); drawBinds([...binds.values()], Date.now() / 1000); }
  $("phones").replaceChildren();
  const shown = [...phones.values()].map((phone) => phone.found);
  phones.clear();
  drawPhones(shown.map((found, n) => ({ ...found, phone: found.phone || `+${wanted()}` })));
}

function show(view) {
  document.body.dataset.view = view;
  for (const tab of document.querySelectorAll("[role=tab]")) tab.setAttribute("aria-selected", String(tab.dataset.view === view));
}

let looking = false;
async function look() {
  if (looking) return;
  looking = true;
  try {
    const asked = wanted();
    const live = await ask(`live.json?since=${revision}&find=${asked}`);
    if (asked !== wanted()) return;
    if (live.revision < revision) { restart(); return; }
    ({ revision, counts, quiet } = live);
    $("sum").textContent = t("sum", counts);
    $("sum").className = "";
    drawPhones(live.phones);
    drawBinds(live.binds, live.now);
  } catch {
    $("sum").textContent = t("away");
    $("sum").className = "bad";
    revision = 0;
  } finally { looking = false; }
}

function restart() {
  revision = 0;
  phones.clear();
  $("phones").replaceChildren();
}

async function again() {
  await look();
  setTimeout(again, document.hidden ? 5000 : 1000);
}

async function refreshFaults() {
  try {
    const found = await ask("behaviour.json");
    if (JSON.stringify(found) !== JSON.stringify(options) && !$("groups").contains(document.activeElement)) drawFaults(found);
  } catch { /* the line above says that the centre is away */ }
  setTimeout(refreshFaults, 4000);
}

for (const tab of document.querySelectorAll("[role=tab]")) tab.addEventListener("click", () => show(tab.dataset.view));
$("find").addEventListener("input", () => { restart(); look(); });
$("reset").addEventListener("click", () => ask("behaviour/reset", {}).then(drawFaults).catch(complain));
$("language").addEventListener("click", () => {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem("language", language);
  drawWords();
});
show("phones");
drawWords();
refreshFaults();
again();
