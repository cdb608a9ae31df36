// Copyright (c) 2026 The waba.flows authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// A WhatsApp Flows endpoint that decrypts with every key that is deployed to it. Copy it, and replace answer().
//
//     WHATSAPP_ENDPOINT_PASSPHRASE=… WHATSAPP_APP_SECRET=… node flow_endpoint.mjs --keys /etc/whatsapp-flows/endpoint-keys
//
// It needs Node.js 18.3 or newer and no package, and speaks plain HTTP: put your TLS proxy in front. Keys are read again when a
// manifest.json or a key file changes, and on SIGHUP. How it all fits together: docs/endpoints.md of the Ansible collection
// waba.flows.

import { constants, createCipheriv, createDecipheriv, createHash, createHmac, createPrivateKey, createPublicKey, privateDecrypt,
  timingSafeEqual } from "node:crypto";
import { readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";

const LARGEST_BODY = 1024 * 1024;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

// Thrown by answer() to end with an HTTP status of its choice: 427 for a flow token that is not valid.
class Refusal extends Error {
  constructor(status) {
    super(`HTTP ${status}`);
    this.status = status;
  }
}

// Replace this: return what the client is to show next. What it throws becomes HTTP 500, unless it is a Refusal.
async function answer(request) {
  return { screen: "SUCCESS", data: {} };
}

// The private keys that the manifests <folder>/<key name>/manifest.json name, newest first.
class Keys {
  #folder;
  #keyNames;
  #passphrases;
  #named = new Map(); // manifest → its key files and their fingerprints
  #opened = new Map(); // fingerprint → {private, file, stamp}
  #stamps = new Map();

  constructor(folder, keyNames, passphrases) {
    this.#folder = folder;
    this.#keyNames = keyNames;
    this.#passphrases = passphrases;
  }

  // Returns the keys, read again if a file changed since the last time.
  usable() {
    const manifests = this.#manifests();
    const files = [...this.#named.values()].flat().map(({ file }) => file);
    const paths = new Set([...manifests, ...files]);
    if (paths.size !== this.#stamps.size || [...paths].some((path) => this.#stamps.get(path) !== stampOf(path))) this.read();
    return [...this.#opened.values()].map((key) => key.private);
  }

  // Reads the manifests, and the key files that are new or changed (or all). What cannot be read stays as it was.
  read(everyFile = false) {
    const named = new Map();
    const opened = new Map();
    const stamps = new Map();
    for (const manifest of this.#manifests()) {
      stamps.set(manifest, stampOf(manifest)); // taken first, so that a change while it is read is seen next time
      try {
        named.set(manifest, filesOf(manifest));
      } catch (error) {
        log("ERROR", `${manifest} cannot be read (${error.constructor.name})`);
        named.set(manifest, this.#named.get(manifest) ?? []);
      }
      for (const { file, fingerprint } of named.get(manifest)) {
        stamps.set(file, stampOf(file));
        const key = this.#refreshed(file, fingerprint, stamps.get(file), everyFile);
        if (key && !opened.has(fingerprint)) opened.set(fingerprint, key);
      }
    }
    [this.#named, this.#opened, this.#stamps] = [named, opened, stamps];
    log("INFO", `${opened.size} keys: ${[...opened.keys()].join(", ") || "none"}`);
  }

  #refreshed(file, fingerprint, stamp, everyFile) {
    const key = this.#opened.get(fingerprint);
    if (key && !everyFile && key.file === file && key.stamp === stamp) return key;
    const opened = this.#open(file, fingerprint);
    return opened ? { private: opened, file, stamp } : key;
  }

  #manifests() {
    const wanted = namesIn(this.#folder).filter((name) => this.#keyNames.length === 0 || this.#keyNames.includes(name));
    return wanted.map((name) => join(this.#folder, name, "manifest.json")).filter((path) => stampOf(path) !== null);
  }

  #open(file, fingerprint) {
    for (const passphrase of this.#passphrases) {
      try {
        const key = readFileSync(file);
        // Node would open a plain key as well, whatever the passphrase.
        if (!key.includes("-----BEGIN ENCRYPTED PRIVATE KEY-----")) continue;
        const opened = createPrivateKey({ key, passphrase });
        if (fingerprintOf(opened) === fingerprint) return opened;
      } catch {
        continue; // a missing file, a wrong passphrase, half a file …
      }
    }
    log("ERROR", `${file} cannot be opened, or is not the key ${fingerprint}`);
    return null;
  }
}

function namesIn(folder) {
  try {
    return readdirSync(folder).sort();
  } catch {
    return []; // it is not there yet
  }
}

// Returns what tells whether a file changed, or null if it is not there.
function stampOf(path) {
  try {
    const found = statSync(path, { bigint: true });
    return `${found.ino} ${found.mtimeNs} ${found.size}`;
  } catch {
    return null;
  }
}

// Returns the key files that a manifest names, newest first, with their fingerprints.
function filesOf(manifest) {
  const document = JSON.parse(readFileSync(manifest, "utf8"));
  if (document.schema !== 1) throw new RangeError("unknown schema");
  return document.keys.map((row) => ({ file: join(dirname(manifest), basename(row.file)), fingerprint: String(row.fingerprint) }));
}

// Returns the fingerprint of the public half: SHA256: and unpadded base64, as OpenSSH prints them.
function fingerprintOf(key) {
  const der = createPublicKey(key).export({ type: "spki", format: "der" });
  return "SHA256:" + createHash("sha256").update(der).digest("base64").replace(/=+$/, "");
}

// Returns the AES key and the request's text, or null if the private key does not fit.
function opened(privateKey, { wrappedKey, iv, data }) {
  try {
    const aesKey = privateDecrypt({ key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" }, wrappedKey);
    const cipher = createDecipheriv("aes-128-gcm", aesKey, iv, { authTagLength: 16 });
    cipher.setAuthTag(data.subarray(-16));
    return { aesKey, text: Buffer.concat([cipher.update(data.subarray(0, -16)), cipher.final()]).toString("utf8") };
  } catch {
    return null;
  }
}

function sealed(aesKey, iv, document) {
  const cipher = createCipheriv("aes-128-gcm", aesKey, iv.map((byte) => byte ^ 0xff), { authTagLength: 16 });
  return Buffer.concat([cipher.update(JSON.stringify(document), "utf8"), cipher.final(), cipher.getAuthTag()]).toString("base64");
}

// Returns the parts of a Flow request, or null if the body is none.
function partsOf(body) {
  try {
    const document = JSON.parse(body.toString("utf8"));
    const texts = [document.encrypted_aes_key, document.initial_vector, document.encrypted_flow_data];
    if (texts.some((text) => typeof text !== "string" || !BASE64.test(text))) return null;
    const [wrappedKey, iv, data] = texts.map((text) => Buffer.from(text, "base64"));
    return { wrappedKey, iv, data };
  } catch {
    return null;
  }
}

// Tells whether a raw body was signed with the app secret.
function isSigned(body, signature, appSecret) {
  const expected = Buffer.from("sha256=" + createHmac("sha256", appSecret).update(body).digest("hex"));
  const given = Buffer.from(signature, "latin1");
  return given.length === expected.length && timingSafeEqual(given, expected);
}

async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size <= LARGEST_BODY) chunks.push(chunk);
  }
  return size <= LARGEST_BODY ? Buffer.concat(chunks) : null;
}

// Returns the status, and the text for a status of 200.
async function respond(request, keys, appSecret) {
  if (request.method !== "POST") return [405];
  const body = await bodyOf(request);
  if (body === null) return [413];
  if (appSecret && !isSigned(body, request.headers["x-hub-signature-256"] ?? "", appSecret)) return [432];
  const parts = partsOf(body);
  if (parts === null) return [400];
  for (const privateKey of keys.usable()) {
    const found = opened(privateKey, parts);
    if (found === null) continue;
    const document = JSON.parse(found.text);
    if (typeof document.action !== "string") throw new TypeError("no action");
    const reply = document.action === "ping" ? { data: { status: "active" } } : await answer(document);
    return [200, sealed(found.aesKey, parts.iv, reply)];
  }
  return [421]; // has the client fetch the public key again
}

// Answers, or fails without a word about why: the client has no use for it, and others must not have it.
async function handle(request, response, keys, appSecret) {
  let result;
  try {
    result = await respond(request, keys, appSecret);
  } catch (error) {
    if (!(error instanceof Refusal)) log("ERROR", `${error?.constructor?.name} ${placeOf(error)}`);
    result = [error instanceof Refusal ? error.status : 500];
  }
  const [status, text = ""] = result;
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" }).end(text);
}

// Returns where an error was thrown. Its text is left out, as it may hold what the user typed.
function placeOf(error) {
  const text = String(error);
  return error?.stack?.startsWith(text) ? error.stack.slice(text.length).split("\n")[1]?.trim() ?? "" : "";
}

function log(level, text) {
  process.stderr.write(`${level} ${text}\n`);
}

function serve(options, keys, appSecret) {
  const server = createServer((request, response) => handle(request, response, keys, appSecret));
  server.listen(Number(options.port), options.host, () => {
    const { address, family, port } = server.address();
    const url = `http://${family === "IPv6" ? `[${address}]` : address}:${port}/`;
    log("INFO", `listening on ${url}`);
    if (!options["ready-file"]) return;
    writeFileSync(options["ready-file"] + ".tmp", url);
    renameSync(options["ready-file"] + ".tmp", options["ready-file"]);
  });
  process.on("SIGHUP", () => keys.read(true));
  for (const name of ["SIGTERM", "SIGINT"]) {
    process.on(name, () => {
      server.close();
      server.closeIdleConnections();
    });
  }
}

function main() {
  const { values: options } = parseArgs({
    options: {
      keys: { type: "string" }, // folder with a folder for each key name
      "key-name": { type: "string", multiple: true, default: [] }, // use only this key; can be repeated
      host: { type: "string", default: "127.0.0.1" },
      port: { type: "string", default: "8080" }, // 0 takes a free one
      "ready-file": { type: "string" }, // written with the URL once requests are answered
    },
  });
  const names = ["WHATSAPP_ENDPOINT_PASSPHRASE", "WHATSAPP_ENDPOINT_PREVIOUS_PASSPHRASE"];
  const passphrases = names.map((name) => process.env[name]).filter(Boolean);
  const missing = !options.keys ? "--keys" : passphrases.length === 0 ? names[0] : null;
  if (missing) {
    process.stderr.write(`${missing} is not set.\n`);
    process.exit(1);
  }
  const keys = new Keys(options.keys, options["key-name"], passphrases);
  keys.read();
  serve(options, keys, process.env.WHATSAPP_APP_SECRET ?? "");
}

main();
