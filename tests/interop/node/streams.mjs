// A WebSocket of the package ws through the sidecar, until it is cut.
//
// usage: node streams.mjs ADDRESS
//
// Prints one JSON object with what it saw and when ("at", seconds since the epoch) it was cut.
import { createRequire } from "node:module";
import { once } from "node:events";

// The packages live in the cache that scripts/setup fills, not beside this file.
const require = createRequire(`${process.env.SYMBOLON_INTEROP_NODE}/package.json`);
const WebSocket = require("ws");

const address = process.argv[2];
const socket = new WebSocket(`ws://${address}/web/echo`);
// From the beginning: the first message may come together with the handshake.
const messages = [];
let waiting;
socket.on("message", (data, isBinary) => {
  messages.push(isBinary ? data : data.toString());
  waiting?.();
});
const next = async () => {
  while (messages.length === 0) await new Promise((resolve) => (waiting = resolve));
  return messages.shift();
};
const closed = once(socket, "close");

await once(socket, "open");
const said = JSON.parse(await next());
const echoed = [];
for (const message of ["hello", Buffer.alloc(200_000, 7)]) {
  socket.send(message);
  const answer = await next();
  echoed.push(Buffer.isBuffer(message) ? message.equals(answer) : message === answer);
}
const [code, reason] = await closed;
const at = Date.now() / 1000;

const refused = new WebSocket(`ws://${address}/web/refuse`);
refused.on("error", () => {});
const [, answer] = await once(refused, "unexpected-response");
console.log(JSON.stringify({ ...said, echoed, code, reason: reason.toString(), at, refused: answer.statusCode }));
refused.terminate();
