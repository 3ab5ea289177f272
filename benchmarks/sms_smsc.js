// An SMS centre for measurements, on the npm package `smpp`: takes every text, reports it delivered at
// once where that is wanted, and keeps the books. Commands come as lines: `count`, `deliver N WINDOW`.
"use strict";
const smpp = require("smpp");
const reports = process.argv[2] === "reports";
const taken = new Map(); // destination and text → times
let next = 1, segments = 0, owed = 0, acknowledged = 0, refused = 0, first = 0, last = 0;
let client = null;
let pouring = null;
let poured = 0; // every text is another one, so that none counts as a repeat

function now() { return Number(process.hrtime.bigint()) / 1e9; }

const server = smpp.createServer((session) => {
  session.on("error", () => {});
  session.on("close", () => { if (client === session) client = null; });
  for (const kind of ["bind_transceiver", "bind_transmitter", "bind_receiver"]) {
    session.on(kind, (pdu) => { client = session; session.send(pdu.response()); });
  }
  session.on("enquire_link", (pdu) => session.send(pdu.response()));
  session.on("unbind", (pdu) => { session.send(pdu.response()); session.close(); });
  session.on("submit_sm", (pdu) => {
    const id = String(next++);
    last = now();
    if (!segments++) first = last;
    const body = pdu.short_message.message;
    const key = pdu.destination_addr + "|" + (Buffer.isBuffer(body) ? body.toString("latin1") : body);
    taken.set(key, (taken.get(key) || 0) + 1);
    session.send(pdu.response({ message_id: id }));
    if (!reports) return;
    owed++;
    session.deliver_sm({
      esm_class: 4, source_addr: pdu.destination_addr, destination_addr: pdu.source_addr,
      short_message: `id:${id} sub:001 dlvrd:001 submit date:2611220800 done date:2611220801 stat:DELIVRD err:000 text:`,
      receipted_message_id: id, message_state: 2,
    }, settled);
  });
});

function settled(answer) { if (answer.command_status === 0) acknowledged++; else refused++; }

function pour(total, window) {
  pouring = { sent: 0, done: 0, total, begun: now(), ended: 0 };
  for (let i = 0; i < window; i++) one();
}

function one() {
  if (pouring.sent >= pouring.total || !client) return;
  pouring.sent++;
  const number = poured++;
  client.deliver_sm({
    source_addr: "8612" + String(number).padStart(9, "0"), destination_addr: "95598",
    short_message: `balance ${number}`,
  }, (answer) => {
    if (answer.command_status !== 0) refused++;
    if (++pouring.done === pouring.total) pouring.ended = now();
    one();
  });
}

server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));

let lines = "";
process.stdin.on("data", (data) => {
  lines += data;
  for (let end; (end = lines.indexOf("\n")) >= 0; lines = lines.slice(end + 1)) {
    const [command, ...rest] = lines.slice(0, end).trim().split(" ");
    if (command === "deliver") pour(Number(rest[0]), Number(rest[1]));
    let doubles = 0;
    if (command === "books") for (const times of taken.values()) doubles += times - 1;
    console.log(JSON.stringify({ bound: client !== null, segments, texts: taken.size, doubles, owed, acknowledged, refused,
      seconds: last - first, poured: pouring && pouring.done,
      pouring_seconds: pouring && pouring.ended ? pouring.ended - pouring.begun : 0,
      cpu: process.cpuUsage() }));
  }
});
process.stdin.on("end", () => process.exit(0));
