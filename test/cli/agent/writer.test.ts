import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { Agent, get, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { MAIN, REPOSITORY } from "../../support/cli.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const AGENT_MAIN = join(MAIN, "../agent-main.js");
const SAMPLE = `${REPOSITORY}config/samples/hosts/test_compute0`;
const OPTIONS = ["--sysfs-root", `${SAMPLE}/sys`, "--libvirt-dir", `${SAMPLE}/libvirt`, "--listen", "127.0.0.1:0"];
const PATIENCE = { timeout: 30_000, interval: 20 };
/** A line for each with --debug: more than a pipe has room for, 64 KiB. */
const REQUESTS = 1_500;
const ADDRESSES = 20;

/** The agent, logging into a pipe, and who reads that into a file. */
async function piped() {
	const directory = temporaryDirectory();
	const [fifo, file] = [join(directory, "fifo"), join(directory, "log")];
	execFileSync("mkfifo", [fifo]);
	const read = () => {
		const child = spawn("sh", ["-c", 'exec cat "$0" >>"$1"', fifo, file], { stdio: "ignore" });
		onTestFinished(() => void child.kill("SIGKILL"));
		return child;
	};
	const reader = read();
	const stderr = openSync(fifo, "w");
	const agent = spawn(process.execPath, [AGENT_MAIN, "--debug", ...OPTIONS], { stdio: ["ignore", "ignore", stderr] });
	onTestFinished(() => void agent.kill("SIGKILL"));
	closeSync(stderr);
	const log = () => readFileSync(file, "utf8");
	await expect.poll(log, PATIENCE).toMatch(/scan done/);
	const [, url] = /listening on (\S+)/.exec(log()) ?? [];
	const connections = new Agent({ keepAlive: true });
	onTestFinished(() => connections.destroy());
	/** Status of an answer; aborted, it fails. */
	let asked = 0;
	const ask = async () => {
		// No address may ask as often as this.
		const localAddress = `127.0.0.${(asked++ % ADDRESSES) + 1}`;
		const signal = AbortSignal.timeout(20_000);
		const [response] = (await once(get(`${url}/`, { localAddress, signal, agent: connections }), "response")) as [
			IncomingMessage,
		];
		await response.toArray();
		return response.statusCode;
	};
	return { agent, reader, read, ask, asked: () => asked, log };
}

/** What becomes of the reader of the log, how, and how there is one again. */
const FAULTS: readonly [what: string, NodeJS.Signals, again: (reader: ChildProcess, read: () => unknown) => unknown][] =
	[
		["stands still", "SIGSTOP", (reader) => reader.kill("SIGCONT")],
		["goes away", "SIGKILL", (_reader, read) => read()],
	];

test.each(FAULTS)(
	"the log's reader %s: the agent answers, and says once how many lines were lost",
	{ timeout: 60_000 },
	async (_what, signal, again) => {
		const { agent, reader, read, ask, asked, log } = await piped();
		reader.kill(signal);
		if (signal === "SIGKILL") await once(reader, "exit");
		for (let count = 0; count < REQUESTS; count++) expect(await ask()).toBe(200);
		again(reader, read);
		const warnings = () =>
			log().match(/^.* WARNING novacompat\.agent \[-\] \d+ lines of this log were lost.*$/gm) ?? [];
		await expect.poll(() => ask().then(() => warnings().length), PATIENCE).toBe(1);
		const told = Number(/(\d+) lines of this log/.exec(warnings()[0] ?? "")?.[1]);
		expect(told).toBeGreaterThan(100);
		// No line is missing that it does not count.
		const taken = () => log().match(/ DEBUG .* GET "\/" 200 /g)?.length ?? 0;
		await expect.poll(() => taken() + told, PATIENCE).toBe(asked());
		expect(warnings()).toHaveLength(1);
		agent.kill("SIGTERM");
		expect(await once(agent, "exit")).toEqual([0, null]);
	},
);
