import { createServer } from "node:net";
import { hostname } from "node:os";
import { afterEach, expect } from "vitest";
import { row } from "../faults/rows.ts";
import { Opened } from "./rig.ts";

const opened = new Opened();
afterEach(() => opened.close());

const [A, B, C, D] = [127, 0, 0, 2];
const NUMBER = (A << 24) + D;
const octal = (value: number) => `0${value.toString(8)}`;
const hexadecimal = (value: number) => `0x${value.toString(16)}`;
const styles = [String, octal, hexadecimal, (value: number) => value.toString().padStart(4, "0")];

/** 127.0.0.2 in the spellings of inet_aton: one to four parts, each decimal, octal or hexadecimal. */
const NUMERIC = [
	...styles.flatMap((first) => styles.map((last) => [first(A), first(B), last(C), last(D)].join("."))),
	...styles.flatMap((first) => styles.map((last) => `${first(A)}.${last(D)}`)),
	...styles.flatMap((first) => styles.map((last) => `${first(A)}.${last(B)}.${last(D)}`)),
	...styles.map((style) => style(NUMBER)),
	"0X7F.0.0.2",
	"0x7f000002",
	"017700000002",
	"00000000000177.0.0.2",
	"127.0.0.2.",
	"127.0.0.2..",
];
const IPV6 = [
	"[::1]",
	"::1",
	"[::ffff:127.0.0.2]",
	"::ffff:127.0.0.2",
	"::ffff:7f00:2",
	"[::ffff:7f00:2]",
	"[0:0:0:0:0:ffff:127.0.0.2]",
	"[::127.0.0.2]",
	"[64:ff9b::7f00:2]",
	"[fe80::1%25lo]",
	"fe80::1%lo",
];
/** Around an address: what ends the host name of a URL, or begins another one. */
const around = (address: string) => [
	`good:80@${address}`,
	`good@${address}`,
	`user:password@${address}`,
	`${address}#`,
	`${address}#.example.org`,
	`${address}?`,
	`${address}?.example.org`,
	`${address}/`,
	`${address}/.example.org`,
	`${address}\\`,
	`${address}\\.example.org`,
	`${address}:80`,
	`${address}:`,
	`${address}%00`,
	`${address}%2f`,
	`${address}%23`,
	`${address}\0`,
	`${address}\t`,
	`${address}\n`,
	`${address}\r\nHost: x`,
	` ${address}`,
	`${address} `,
	`//${address}`,
	`http://${address}/`,
	`https://${address}`,
	`\t${address}`,
	`good@good@${address}`,
	`%40${address}`,
];
const FULL_WIDTH = (text: string) =>
	[...text].map((one) => (one === "." ? "\u3002" : String.fromCodePoint(0xfee0 + (one.codePointAt(0) ?? 0)))).join("");
const CIRCLED = "①②⑦.⓪.⓪.②";
const UNICODE = [
	FULL_WIDTH("127.0.0.2"),
	"127\u30020\u30020\u30022",
	"127\uff0e0\uff0e0\uff0e2",
	"127\uff610\uff610\uff612",
	CIRCLED,
	"①27.0.0.2",
	"ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
	"ｌｏｃａｌｈｏｓｔ",
	"local\u00adhost",
	"127.0.0.2\u200b",
	"\u200b127.0.0.2",
	"127.0.0.2\u2028",
	"localhoſt",
	"xn--127-.0.0.2",
];
/** Names that lead here by the files of the machine or by rule. */
const NAMES = [
	"localhost",
	"LOCALHOST",
	"LocalHost",
	"localhost.localdomain",
	"localhost4",
	"ip6-localhost",
	"ip6-loopback",
	"localhost.",
	"a.localhost",
	"x.y.localhost",
	hostname(),
];
const PATHS = [
	"../127.0.0.2",
	"..",
	".",
	"a/../../127.0.0.2",
	"%2e%2e/127.0.0.2",
	"file:///etc/passwd",
	"gopher://127.0.0.2/",
	"127.0.0.2:80:80",
	"@127.0.0.2",
	":@127.0.0.2",
	"#@127.0.0.2",
	"__proto__",
	"constructor",
	"toString",
	"{host}",
	"*",
	"$&",
	"$`",
	"cmp..example",
	"-cmp",
	"cmp-",
	"a".repeat(255),
];

const HERE = ["127.0.0.2", "0x7f.2", "2130706434", "[::ffff:127.0.0.2]", "localhost"];
const SPELLINGS = [...new Set([...NUMERIC, ...IPV6, ...HERE.flatMap(around), ...UNICODE, ...NAMES, ...PATHS])];

row(
	"SSRF",
	`${SPELLINGS.length} spellings of this machine as the name of a host`,
	"0 connections here",
	async (measure) => {
		const seen: string[] = [];
		const note = (address: string) =>
			createServer((socket) => seen.push(`${address} ${socket.remotePort}`).toString() && socket.destroy());
		const port = await opened.listen(note("127.0.0.2"), "127.0.0.2");
		for (const address of ["127.0.0.1", "::1", "::ffff:127.0.0.3"]) await opened.listen(note(address), address, port);
		expect(SPELLINGS.length).toBeGreaterThan(200);

		// What they would do if URLs were texts.
		const reached = SPELLINGS.filter((name) => {
			const url = `http://${name}:${port}/v1/snapshot`;
			return URL.canParse(url) && /^(127\.|\[::(1|ffff:7f00:2|7f00:2)\]|localhost)/.test(new URL(url).hostname);
		});
		expect(reached.length).toBeGreaterThan(80);

		for (const template of [
			`http://{host}:${port}`,
			`http://agent.{host}:${port}`,
			`http://{host}.localhost:${port}`,
		]) {
			const options = { agent_url_template: template, agent_hosts: ["*"], allow_insecure: true, agent_timeout: 2 };
			const service = await opened.service(undefined, { ...options, max_check_time: 30 });
			const answers = await Promise.all(
				SPELLINGS.filter((name) => name.length <= 255).map((name) => service.check(name)),
			);
			for (const { allowed, codes } of answers) {
				expect(allowed).toBe(false);
				expect(["agent.unconfigured", "agent.address", "agent.unreachable", "agent.timeout"]).toContain(codes[0]);
			}
			await service.rank(SPELLINGS);
		}
		measure(`${seen.length} connections; as text in a URL, ${reached.length} would come here`);
		expect(seen).toEqual([]);
	},
);
