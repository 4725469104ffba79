import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer as createTcpServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { afterEach, expect, test } from "vitest";
import { startAgentsLoad } from "../bench/agents-load.ts";
import { Children } from "../bench/children.ts";
import { quantile } from "../bench/statistics.ts";
import { leastOf, row } from "../faults/rows.ts";
import { type Checked, json, ms, Opened, SOURCE, snapshotOf, TARGET, TARGET_BODY } from "./rig.ts";

const opened = new Opened();
afterEach(() => opened.close());

const ACCEPT_ALL = { "*": "accept" } as const;

/** What the first question says, and the next one at once. */
async function twice({ check }: { check: () => Promise<Checked> }, measure: (text: string) => void, bound: number) {
	const [first, second] = [await check(), await check()];
	measure(`${ms(first.ms)}, then ${ms(second.ms)}`);
	expect(first.own).toBeLessThan(bound);
	expect(second.own).toBeLessThan(50);
	expect(second).toMatchObject({ verdict: "unknown", allowed: false, id: first.id });
	expect(second.text).toMatch(/ \d+\.\d s ago \[/);
	return first;
}

/** A child process that listens and is stopped: the kernel takes connections as long as there is room for them. */
async function stoppedListener(backlog: number): Promise<number> {
	const script = `require("net").createServer().listen({port:0,host:"127.0.0.1",backlog:${backlog}},function(){console.log(this.address().port)})`;
	const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
	opened.add(() => child.kill("SIGKILL"));
	const [line] = await once(child.stdout, "data");
	child.kill("SIGSTOP");
	return Number(String(line));
}

row(42, "agent down: closed port", "first <= 2.5 s, next <= 50 ms", async (measure) => {
	const service = await opened.service("http://127.0.0.1:1");
	expect((await twice(service, measure, 2_500)).codes).toEqual(["agent.unreachable"]);
});

row(42, "agent down: the breaker", "<= 4 connections in 10 s, back <= 6.5 s", async (measure) => {
	let [connections, isDown] = [0, true];
	const target = await opened.agent(json());
	const proxy = createTcpServer((socket) => {
		connections++;
		socket.on("error", () => undefined);
		if (isDown) return socket.resetAndDestroy();
		const agent = connect(Number(new URL(target).port), "127.0.0.1");
		agent.on("error", () => socket.destroy());
		return socket.pipe(agent).pipe(socket);
	});
	const service = await opened.service(`http://127.0.0.1:${await opened.listen(proxy)}`);
	for (const end = performance.now() + 10_000; performance.now() < end; await sleep(50)) await service.check();
	const during = connections;
	isDown = false;
	const mended = performance.now();
	while ((await service.check()).verdict !== "accept") await sleep(50);
	const back = performance.now() - mended;
	measure(`${during} connections, back after ${ms(back)}`);
	expect(during).toBeLessThanOrEqual(4);
	expect(back).toBeLessThan(6_500);
});

row(43, "agent black-holed: no answer to SYN", "first <= 7 s, next <= 50 ms", async (measure) => {
	const port = await stoppedListener(1);
	for (let filled = true; filled; ) {
		const socket = connect(port, "127.0.0.1");
		socket.on("error", () => undefined);
		opened.add(() => socket.destroy());
		filled = await Promise.race([once(socket, "connect").then(() => true), sleep(300).then(() => false)]);
	}
	const service = await opened.service(`http://127.0.0.1:${port}`);
	const { codes, text } = await twice(service, measure, 7_000);
	expect(codes).toEqual(["agent.unreachable"]);
	expect(text).toContain("ETIMEDOUT");
});

row(43, "agent that takes the connection and hangs", "first <= 7 s, next <= 50 ms", async (measure) => {
	const service = await opened.service(`http://127.0.0.1:${await stoppedListener(128)}`);
	expect((await twice(service, measure, 7_000)).codes).toEqual(["agent.timeout"]);
});

row(
	44,
	"slow loris: headers or body byte by byte",
	"ends at the deadline +-100 ms, no socket after 1 s",
	async (measure) => {
		const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n";
		for (const [name, start, drip] of [
			["headers", "", `${head}X-Pad: `],
			["body", `${head}\r\n`, " "],
		] as const) {
			const server = createTcpServer((socket) => {
				socket.on("error", () => undefined).write(start);
				let sent = 0;
				const timer = setInterval(() => socket.write(drip[sent++ % drip.length] ?? ""), 50);
				socket.on("close", () => clearInterval(timer));
			});
			const target = `http://127.0.0.1:${await opened.listen(server)}`;
			const { check } = await opened.service(target, { agent_timeout: 1.5 });
			const checked = await check();
			measure(`${name} ${ms(checked.ms)}`);
			expect(checked.codes).toEqual(["agent.timeout"]);
			expect(checked.ms).toBeGreaterThan(1_400);
			expect(checked.own).toBeLessThan(1_600);
			await sleep(1_000);
			expect(await new Promise((resolve) => server.getConnections((_error, count) => resolve(count)))).toBe(0);
		}
	},
);

row(45, "garbage, login page, other content types", "never accepted, whatever the policy", async (measure) => {
	const other = { ...snapshotOf(TARGET), schema_version: "2.0" };
	const answers = [
		json("<html>log in</html>", { "Content-Type": "text/html" }),
		json(TARGET_BODY, { "Content-Type": "text/html" }),
		json(TARGET_BODY, { "Content-Type": "text/json" }),
		json(""),
		json("null"),
		json("[]"),
		json("{}"),
		json('"text"'),
		json(TARGET_BODY.slice(0, -1)),
		json(`${TARGET_BODY}x`),
		json(JSON.stringify(other)),
		json(`${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`),
		json("[".repeat(500_000)),
		json(Buffer.from(Array.from({ length: 10_000 }, (_value, index) => (index * 7919) % 256)).toString("latin1")),
	];
	for (const answer of answers) {
		const { check } = await opened.service(await opened.agent(answer), {}, ACCEPT_ALL);
		expect(await check()).toMatchObject({ verdict: "unknown", allowed: false, codes: ["agent.bad_reply"] });
	}
	measure(`${answers.length} answers, 0 accepted`);
});

/** An agent in a process of its own, so that its memory is not ours. */
async function bigAgent(script: string): Promise<string> {
	const child = spawn(process.execPath, ["-e", `const http=require("http"),zlib=require("zlib");${script}`], {
		stdio: ["ignore", "pipe", "inherit"],
	});
	opened.add(() => child.kill("SIGKILL"));
	const [line] = await once(child.stdout, "data");
	return `http://127.0.0.1:${String(line).trim()}`;
}
const LISTEN = `.listen(0,"127.0.0.1",function(){console.log(this.address().port)})`;

/** What a check says to this agent, how long it works or waits, and how much memory more than before it takes at the most, in MB. */
async function askedOf(script: string) {
	const { check } = await opened.service(await bigAgent(script));
	// From here on the kernel takes the peak.
	writeFileSync("/proc/self/clear_refs", "5");
	const [before, cpu] = [process.memoryUsage().rss, process.cpuUsage()];
	const { codes, own } = await check();
	const { user, system } = process.cpuUsage(cpu);
	const took = Math.max(own, (user + system) / 1_000);
	const [, peak] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
	return { codes, took, growth: (Number(peak) * 1024 - before) / 1e6 };
}
const POUR = `const w=()=>{while(n-->0)if(!r.write(c))return r.once("drain",w);r.end()};w()`;

row(
	46,
	"a body of 300 MB, 8 MB of one-byte chunks, a gzip bomb of 200 kB",
	"rss +30 MB at most, <= 100 ms",
	async (measure) => {
		const chunked =
			"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCollected-Age-Ms: 0\r\nTransfer-Encoding: chunked\r\n\r\n";
		const bodies = {
			"300 MB": `const c=Buffer.alloc(1<<20,32);http.createServer((q,r)=>{let n=300;q.socket.on("error",()=>0);r.writeHead(200,{"Content-Type":"application/json","Collected-Age-Ms":"0"});${POUR}})${LISTEN}`,
			"one-byte chunks": `const c=Buffer.from("1\\r\\n \\r\\n".repeat(1e5));http.createServer((q,{socket:r})=>{let n=80;r.on("error",()=>0);r.write(${JSON.stringify(chunked)});${POUR}})${LISTEN}`,
			"gzip bomb": `const b=zlib.gzipSync(Buffer.alloc(200<<20));http.createServer((q,r)=>r.writeHead(200,{"Content-Type":"application/json","Collected-Age-Ms":"0","Content-Encoding":"gzip"}).end(b))${LISTEN}`,
		};
		expect(gzipSync(Buffer.alloc(200 << 20)).length).toBeLessThan(250_000);
		for (const [name, script] of Object.entries(bodies)) {
			let most = 0;
			const took = await leastOf(10, 100, async () => {
				const asked = await askedOf(script);
				expect(asked.codes).toEqual(["agent.bad_reply"]);
				most = Math.max(most, asked.growth);
				return asked.took;
			});
			measure(`${name}: ${ms(took)}, ${most.toFixed(0)} MB more`);
			expect(most).toBeLessThan(30);
			expect(took).toBeLessThan(100);
		}
	},
);

row(
	47,
	"redirects to the same host, another one, the metadata address",
	"not followed, 0 requests there",
	async (measure) => {
		const [elsewhere, here]: [string[], string[]] = [[], []];
		const other = await opened.listen(
			createTcpServer((socket) => elsewhere.push(String(socket.remotePort))),
			"127.0.0.2",
		);
		for (const location of ["/v1/other", `http://127.0.0.2:${other}/v1/snapshot`, "http://169.254.169.254/latest/"]) {
			for (const status of [301, 302, 303, 307, 308]) {
				const agent = await opened.agent((request, response) => {
					here.push(request.url ?? "");
					response.writeHead(status, { Location: location }).end();
				});
				const { check } = await opened.service(agent, {}, ACCEPT_ALL);
				expect(await check()).toMatchObject({ allowed: false, codes: ["agent.bad_reply"] });
			}
		}
		measure(`${here.length} answers, ${elsewhere.length} requests`);
		expect(here).toEqual(Array(15).fill("/v1/snapshot"));
		expect(elsewhere).toEqual([]);
	},
);

row(
	48,
	"statuses 401, 403, 404, 429, 500, 503",
	"<= 2 tries; Retry-After only inside the deadline",
	async (measure) => {
		/** status, Retry-After, requests, code; without one the second answer is good */
		const STATUSES: readonly (readonly [number, string | undefined, number, string | undefined])[] = [
			[401, undefined, 1, "agent.bad_reply"],
			[403, undefined, 1, "agent.bad_reply"],
			[404, undefined, 1, "agent.bad_reply"],
			[429, undefined, 2, "agent.unavailable"],
			[500, undefined, 2, "agent.unavailable"],
			[503, undefined, 2, "agent.unavailable"],
			[429, "1", 2, undefined],
			[503, "1", 2, undefined],
			[503, "30", 1, "agent.unavailable"],
		];
		let longest = 0;
		for (const [status, after, requests, code] of STATUSES) {
			let asked = 0;
			const agent = await opened.agent((request, response) => {
				if (++asked > 1 && code === undefined) return json()(request, response);
				return json("{}", after === undefined ? {} : { "Retry-After": after }, status)(request, response);
			});
			const { check } = await opened.service(agent);
			const { codes, ms: took } = await check();
			longest = Math.max(longest, took);
			expect([status, asked, ...codes]).toEqual([status, requests, ...(code === undefined ? [] : [code])]);
		}
		measure(`${STATUSES.length} answers, at most 2 tries and ${ms(longest)}`);
	},
);

row(49, "the agent says that it is another host", "never accepted, never kept", async (measure) => {
	let name: string = "cmp-66";
	const agent = await opened.agent((request, response) =>
		json(JSON.stringify({ ...snapshotOf(TARGET), host: name }))(request, response),
	);
	const { check } = await opened.service(agent, { snapshot_max_age: 60 }, { "*": "accept_stale" });
	expect(await check()).toMatchObject({ allowed: false, verdict: "unknown", codes: ["agent.identity"] });
	name = TARGET;
	await sleep(2_100);
	expect(await check()).toMatchObject({ verdict: "accept" });
	measure("0 accepted");
});

row(51, "clock of the agent is off by an hour", "verdict unchanged, a warning", async (measure) => {
	for (const [hours, text] of [
		[1, "60 min ahead"],
		[-1, "60 min behind"],
	] as const) {
		const agent = await opened.agent((request, response) => {
			response.setHeader("Date", new Date(Date.now() + hours * 3_600_000).toUTCString());
			json(TARGET_BODY, { "Collected-Age-Ms": "10" })(request, response);
		});
		const { check, lines } = await opened.service(agent, { snapshot_max_age: 0 });
		for (const _ of [1, 2]) expect(await check()).toMatchObject({ verdict: "accept", reasons: [] });
		const warned = lines.filter(
			(line) => line.includes(`WARNING`) && line.includes(`the clock of ${TARGET} is ${text}`),
		);
		expect(warned).toHaveLength(1);
		measure(text);
	}
});

row(52, "agent alive, collector stuck", "detected at the limit + 1 s", async (measure) => {
	const stopped = performance.now();
	const agent = await opened.agent((request, response) => {
		const age = String(Math.round(performance.now() - stopped));
		json(TARGET_BODY, { "Collected-Age-Ms": age, ETag: '"1"' })(request, response);
	});
	const { check } = await opened.service(agent, { snapshot_stale_after: 2 });
	expect((await check()).verdict).toBe("accept");
	let checked = await check();
	for (; checked.verdict === "accept"; await sleep(20)) checked = await check();
	const after = performance.now() - stopped;
	measure(`limit + ${ms(after - 2_000)}`);
	expect(checked.codes).toEqual(["snapshot.stale"]);
	expect(after).toBeLessThan(3_000);
	expect(after).toBeGreaterThan(2_000);
});

row(53, "a snapshot changes between the fetches", "the report names both generations", async (measure) => {
	let generation = 7;
	const agent = await opened.agent((request, response) =>
		json(JSON.stringify({ ...snapshotOf(TARGET), ...boot(1), generation: generation++ }))(request, response),
	);
	let ofSource = 70;
	const source = await opened.agent((request, response) =>
		json(JSON.stringify({ ...snapshotOf(SOURCE), ...boot(2), generation: ofSource++ }))(request, response),
	);
	const { check, lines } = await opened.service(agent, { snapshot_max_age: 0, agents: { [SOURCE]: source } });
	const [first, second] = [await check(), await check()];
	for (const [number, { snapshots }] of [first, second].entries()) {
		expect(snapshots).toEqual({
			[SOURCE]: { ...boot(2), generation: 70 + number },
			[TARGET]: { ...boot(1), generation: 7 + number },
		});
	}
	expect(lines.some((line) => line.includes('"generation":71'))).toBe(true);
	expect(lines.some((line) => line.includes('"generation":8'))).toBe(true);
	expect(second.id).toBe(first.id);
	measure(`generations 70 -> 7, 71 -> 8 of ${SOURCE} -> ${TARGET}`);
});

const boot = (number: number) => ({ boot_id: `7d0d1b0c-3a59-4a36-9d80-${String(number).padStart(12, "0")}` });

row(54, "the host reboots with other devices", "the next check uses the new ones", async (measure) => {
	let [current, etag] = [{ ...snapshotOf(TARGET), ...boot(1) }, '"1"'];
	const agent = await opened.agent((request, response) => {
		if (request.headers["if-none-match"] === etag)
			response.writeHead(304, { ETag: etag, "Collected-Age-Ms": "0" }).end();
		else json(JSON.stringify(current), { ETag: etag })(request, response);
	});
	const { check } = await opened.service(agent, { snapshot_max_age: 0 });
	for (const _ of [1, 2]) expect(await check()).toMatchObject({ verdict: "accept", snapshots: { [TARGET]: boot(1) } });
	[current, etag] = [{ ...current, ...boot(2), devices: [] }, '"2"'];
	expect(await check()).toMatchObject({ verdict: "reject", snapshots: { [TARGET]: boot(2) } });
	measure("the next one");
});

row(
	54,
	"two machines answer by the name of one host",
	"refused when the first is back, whatever the policy",
	async (measure) => {
		let number = 1;
		const agent = await opened.agent((request, response) =>
			json(JSON.stringify({ ...snapshotOf(TARGET), ...boot(number) }))(request, response),
		);
		const { check, lines } = await opened.service(agent, { snapshot_max_age: 0 }, ACCEPT_ALL);
		for (number of [1, 2])
			expect(await check()).toMatchObject({ verdict: "accept", snapshots: { [TARGET]: boot(number) } });
		number = 1;
		expect(await check()).toMatchObject({ verdict: "unknown", allowed: false, codes: ["agent.identity"] });
		const told = lines.filter((line) => line.includes("WARNING") && line.includes(`${TARGET} has been rebooted`));
		expect(told).toHaveLength(1);
		measure("accepted, accepted with a warning, agent.identity");
	},
);

row(55, "1,000 agents, of which 500 hang", "healthy ones p99 < 1 s", async (measure) => {
	const children = new Children();
	const load = await startAgentsLoad(children, 1_000);
	opened.add(load.stop);
	const [well] = await Promise.all([load.healthy(8, 100), load.hanging(8, 32), load.rankings(8)]);
	const p99 = quantile(well, 0.99);
	measure(`${well.length} checks, p99 ${ms(p99)}`);
	expect(p99).toBeLessThan(1_000);
});

row(55, "200 agents that hang, asked at once", "64 at once (+4 that end), 1 for each host", async (measure) => {
	const open = new Set<Socket>();
	let most = 0;
	const agent = await opened.agent(() => undefined);
	const counting = createTcpServer((socket) => {
		socket
			.resume()
			.on("error", () => undefined)
			.on("close", () => open.delete(socket));
		most = Math.max(most, open.add(socket).size);
	});
	const url = `http://127.0.0.1:${await opened.listen(counting)}`;
	const names = Array.from({ length: 200 }, (_value, index) => `cmp-${index}`);
	const service = await opened.service(agent, { agents: Object.fromEntries(names.map((name) => [name, url])) });
	await Promise.all([service.rank(names), service.rank(names), service.rank(names)]);
	measure(`${most} at once`);
	expect(most).toBeGreaterThan(32);
	// The agents see the end of one a moment after the service does, which has begun the next.
	expect(most).toBeLessThanOrEqual(64 + 4);
});

row(56, "http_proxy and the like in the environment", "0 requests at the proxy", async (measure) => {
	let proxied = 0;
	const proxy = await opened.agent((_request, response) => {
		proxied++;
		response.end();
	});
	const names = ["http_proxy", "https_proxy", "all_proxy", "NODE_USE_ENV_PROXY"].flatMap((name) => [
		name,
		name.toUpperCase(),
	]);
	const before = { ...process.env };
	for (const name of names) process.env[name] = name.startsWith("N") ? "1" : proxy;
	try {
		const { check } = await opened.service(await opened.agent(json()));
		expect((await check()).verdict).toBe("accept");
	} finally {
		for (const name of names) delete process.env[name];
		Object.assign(process.env, before);
	}
	measure(`${proxied} requests`);
	expect(proxied).toBe(0);
});

row(
	57,
	"name server: NXDOMAIN, silent, other answers, many addresses",
	"<= 2.5 s; the address that is checked is the one used",
	async (measure) => {
		const { forbidden, asked } = await askByName();
		asked.delete("beside");
		const results = Object.fromEntries([...asked].map(([name, { result }]) => [name, result]));
		expect(results).toEqual({
			good: "answer",
			absent: "agent.unreachable",
			silent: "agent.unreachable",
			bound: "answer",
			rebound: "agent.address",
			both: "answer",
			many: "agent.unreachable",
			second: "answer",
			address: "answer",
		});
		expect(forbidden).toBe(0);
		const longest = Math.max(...[...asked.values()].map((one) => one.ms));
		measure(`at most ${ms(longest)}, ${forbidden} connections to the wrong address`);
		expect(longest).toBeLessThan(2_500);
		// It does not wait for the look-ups beside it, of which a silent one takes a second.
		expect(asked.get("address")?.ms).toBeLessThan(900);
	},
);

test("a name that the server knows is looked up beside those at which it is silent", async () => {
	const { asked } = await askByName();
	expect(asked.get("beside")).toMatchObject({ result: "answer" });
});

/** What names.ts prints: connections to the wrong address, and what became of each case. */
async function askByName() {
	const directory = mkdtempSync(join(tmpdir(), "novacompat-names-"));
	opened.add(() => rmSync(directory, { recursive: true }));
	writeFileSync(join(directory, "resolv.conf"), "nameserver 127.0.0.1\n");
	const script = `${import.meta.dirname}/../../dist/test/agent-faults/names.js`;
	const own = `ip link set lo up && mount --bind ${directory}/resolv.conf /etc/resolv.conf && exec "$0" ${script}`;
	const shell = ["--user", "--map-root-user", "--mount", "--net", "sh", "-c", own, process.execPath];
	const unit = readFileSync(`${import.meta.dirname}/../../config/novacompat-serve.service`, "utf8");
	const [, threads] = /^Environment=UV_THREADPOOL_SIZE=(\d+)$/m.exec(unit) ?? [];
	const env = { ...process.env, UV_THREADPOOL_SIZE: threads };
	const { stdout } = await promisify(execFile)("unshare", shell, { env });
	const { forbidden, ...cases } = JSON.parse(stdout) as { forbidden: number };
	return { forbidden, asked: new Map(Object.entries<{ result: string; ms: number }>(cases)) };
}

row(58, "kept connection closed just when it is used again", "0 visible errors in 10,000", async (measure) => {
	const used = new WeakSet<object>();
	let [requests, closed] = [0, 0];
	const agent = await opened.agent((request, response) => {
		// Every other connection: at once after the answer, or in place of the next one.
		if (used.has(request.socket)) {
			closed++;
			request.socket.destroy();
			return;
		}
		used.add(request.socket);
		json()(request, response);
		if (++requests % 2 === 0) response.once("finish", () => setImmediate(() => request.socket.destroy()));
	});
	const { check } = await opened.service(agent, { snapshot_max_age: 0 });
	let errors = 0;
	for (let asked = 0; asked < 10_000; asked++) if ((await check()).verdict !== "accept") errors++;
	measure(`${errors} errors, ${closed} requests cut off`);
	expect(errors).toBe(0);
	expect(closed).toBeGreaterThan(1_000);
});
