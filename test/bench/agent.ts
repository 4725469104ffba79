import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createCa } from "../support/certificates.ts";
import { MAIN, mutual, poll, ROOT, SCAN_CHILD, startAgent, startBareServer } from "./agent-rig.ts";
import { populateComputeNode } from "./compute-node.ts";
import { measureManyAgents } from "./many-agents.ts";
import { type OneScan, oneScan } from "./one-scan.ts";
import { median, quantile, table } from "./statistics.ts";

// What does the agent cost a compute node, and the service a thousand of them?

const ROUNDS = 5;
const POLLS = 2_000;
const IDLE_MS = 25_000;
const [AGENTS, SECONDS] = [1_000, 15];
const SAMPLE = join(ROOT, "config/samples/hosts/test_compute0");

/** One line: what was measured, in its unit; with a bound it can be missed. */
interface Line {
	readonly what: string;
	readonly value: number;
	readonly show: (value: number) => string;
	readonly below?: number;
}
const lines: Line[] = [];
const unit = (name: string, digits: number) => (value: number) =>
	name === "x" ? `${value.toFixed(digits)}x` : `${value.toFixed(digits)} ${name}`;
const [seconds, megabytes, times, milliseconds] = [unit("s", 2), unit("MB", 0), unit("x", 2), unit("ms", 2)];
const packages = (value: number) => `${value}`;

const directory = mkdtempSync(join(tmpdir(), "novacompat-bench-"));
const ca = createCa();
process.once("exit", () => {
	rmSync(directory, { recursive: true, force: true });
	ca.remove();
});

const sysfs = join(directory, "sys");
populateComputeNode(sysfs, { vfs: 4096, mdevs: 512 });
measureScans();
await measureAnswers();
await measureIdle();
process.stdout.write(`Node ${process.versions.node}, ${availableParallelism()} cores\n\n`);
const many = await measureManyAgents(AGENTS, SECONDS);
lines.push({
	what: `check of healthy hosts among ${AGENTS}, of which ${AGENTS / 2} hang, p99`,
	value: quantile(many.healthy, 0.99),
	show: unit("ms", 0),
	below: 1_000,
});
lines.push({ what: "the same pair again (cached), p50", value: median(many.cached), show: milliseconds, below: 5 });
process.stdout.write(`${table([["", "bound", "measured", ""], ...lines.map(shown)])}\n`);
process.stdout.write(`${AGENTS} agents, of which ${AGENTS / 2} hang, ${SECONDS} s\n\n${manyAgents()}\n`);
const missed = lines.filter(isMissed);
process.stdout.write(missed.length > 0 ? `${missed.length} bounds missed\n` : "all bounds held\n");
process.exit(missed.length > 0 ? 1 : 0);

function isMissed({ value, below }: Line): boolean {
	return below !== undefined && !(value < below);
}

function shown(line: Line): readonly string[] {
	const { what, value, show, below } = line;
	if (below === undefined) return [what, "-", show(value), ""];
	return [what, `< ${show(below).replace(/\.0+(?=x|\b)/, "")}`, show(value), isMissed(line) ? "FAIL" : "PASS"];
}

function manyAgents(): string {
	const ms = (value: number) => value.toFixed(value < 10 ? 2 : 0);
	const rows = [
		["healthy hosts, hanging ones asked too", many.healthy],
		["hanging hosts", many.hanging],
		["rankings of all hosts", many.rankings],
		["healthy hosts alone", many.alone],
		["the same pair again (cached)", many.cached],
	] as const;
	const row = ([name, all]: (typeof rows)[number]) => {
		const figures = [quantile(all, 0.5), quantile(all, 0.99), Math.max(...all)].map(ms);
		return [name, String(all.length), ...figures];
	};
	return table([["", "checks", "p50 ms", "p99 ms", "max ms"], ...rows.map(row)]);
}

/** Beside others that read the same files, in turns. */
function measureScans(): void {
	const files = filesRead();
	const list = join(directory, "list");
	writeFileSync(list, files.join("\n"));
	const reader = join(directory, "sequential-read");
	const cc = existsSync("/usr/bin/cc");
	if (cc) execFileSync("/usr/bin/cc", ["-O2", "-o", reader, join(ROOT, "test/bench/sequential-read.c")]);
	const scans: OneScan[] = [];
	const cats: number[] = [];
	const reads: number[] = [];
	oneScan(SCAN_CHILD, sysfs);
	for (let round = 0; round < ROUNDS; round++) {
		scans.push(oneScan(SCAN_CHILD, sysfs));
		cats.push(timed("xargs", ["-a", list, "cat"], ""));
		if (cc) reads.push(timed(reader, [], files.join("\n")));
	}
	const took = median(scans.map((one) => one.seconds));
	const most = Math.max(...scans.map((one) => one.megabytes));
	const what = `one scan of ${scans[0]?.devices} devices, process and all`;
	lines.push({ what, value: took, show: seconds, below: 1 });
	lines.push({ what: "  its memory", value: most, show: megabytes, below: 150 });
	const ofCat = took / median(cats);
	lines.push({ what: `  beside cat of the same ${files.length} files`, value: ofCat, show: times, below: 2 });
	if (cc) lines.push({ what: "  beside open, read, close of them in C", value: took / median(reads), show: times });
}

/** The files below the root that a scan reads, as the kernel sees it. */
function filesRead(): readonly string[] {
	const trace = join(directory, "trace");
	const snapshot = [MAIN, "snapshot", "--sysfs-root", sysfs, "--libvirt-dir", "/nonexistent"];
	const strace = ["-f", "-e", "trace=openat", "-o", trace, process.execPath, ...snapshot];
	execFileSync("strace", strace, { stdio: "ignore" });
	const opened = readFileSync(trace, "utf8").matchAll(/openat\([^"]*"([^"]+)", (?!.*O_DIRECTORY).* = \d+$/gm);
	return [...new Set(Array.from(opened, ([, path = ""]) => path))].filter((path) => path.startsWith(sysfs));
}

function timed(command: string, options: readonly string[], input: string): number {
	const started = performance.now();
	const { status, error } = spawnSync(command, options, { input, stdio: ["pipe", "ignore", "inherit"] });
	if (status !== 0) throw error ?? new Error(`${command} ended with ${status}`);
	return (performance.now() - started) / 1000;
}

/** While the agent scans without a pause; its answers are in memory. */
async function measureAnswers(): Promise<void> {
	const host = { sysfs, libvirt: "/nonexistent" };
	const agent = await startAgent(host, 1);
	const plain = poll(agent.url, POLLS);
	const bytes = join(directory, "snapshot");
	writeFileSync(bytes, Buffer.from(await (await fetch(`${agent.url}/v1/snapshot`)).arrayBuffer()));
	const bare = await startBareServer(bytes);
	const floor = poll(bare.url, POLLS);
	await bare.stop();
	await agent.stop();
	const tls = mutual(ca);
	const secured = await startAgent(host, 1, { tls });
	const overTls = poll(secured.url, POLLS, tls);
	await secured.stop();
	const p99 = (what: string, values: readonly number[], below?: number) =>
		lines.push({ what: `${what}, p99`, value: quantile(values, 0.99), show: milliseconds, ...(below && { below }) });
	lines.push({ what: "snapshot while scans run, p50", value: median(plain.full), show: milliseconds });
	p99("snapshot while scans run", plain.full, 5);
	p99("  of a bare node:http server", floor.full);
	p99("  over mTLS, one connection", overTls.full);
	p99("not modified while scans run", plain.unchanged, 5);
	p99("  of a bare node:http server", floor.unchanged);
	p99("  over mTLS, one connection", overTls.unchanged);
}

/** Of a small host, and with the packages that it loads until it has scanned. */
async function measureIdle(): Promise<void> {
	const host = { sysfs: join(SAMPLE, "sys"), libvirt: join(SAMPLE, "libvirt") };
	const tls = mutual(ca);
	const [idle, secured] = [await startAgent(host, 10), await startAgent(host, 10, { tls })];
	await sleep(IDLE_MS);
	lines.push({ what: "idle agent", value: idle.rss(), show: megabytes, below: 60 });
	lines.push({ what: "  over mTLS", value: secured.rss(), show: megabytes, below: 60 });
	await idle.stop();
	await secured.stop();
	const trace = join(directory, "loaded");
	const traced = await startAgent(host, 10, {
		tls,
		before: ["strace", "-D", "-f", "-e", "trace=openat", "-o", trace],
	});
	await traced.stop();
	// strace, which is not the parent, ends after it.
	await sleep(1_000);
	const loaded = readFileSync(trace, "utf8").matchAll(
		/\/node_modules\/((?:@[^/"]+\/)?[^/"]+)\/[^"]*\.[cm]?js".* = \d+$/gm,
	);
	const names = new Set(Array.from(loaded, ([, name]) => name));
	lines.push({
		what: `packages that it loads: ${[...names].sort().join(", ")}`,
		value: names.size,
		show: packages,
		below: 3,
	});
}
