import { execFileSync, spawnSync } from "node:child_process";
import {
	appendFileSync,
	chmodSync,
	createReadStream,
	mkdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	truncateSync,
	writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { canonicalJson } from "../../src/compat/digest.ts";
import { journalFiles } from "../../src/journal/files.ts";
import { Journal } from "../../src/journal/journal.ts";
import { type JournalEntry, readJournal } from "../../src/journal/reader.ts";
import { checkAgain, type MadeCheck } from "../../src/precheck.ts";
import { closeWritten, INSTANCE, makeCheck, REQUEST, snapshot, UNMADE, WAYS } from "../support/checks.ts";
import { recordingLog } from "../support/log.ts";
import { ownTime } from "../support/own-time.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const KIB = 1024;

function journalIn(directory: string, { max_file_size = 1024 * KIB, max_files = 4 } = {}) {
	const { log, lines } = recordingLog();
	const journal = new Journal({ directory, max_file_size, max_files }, log);
	onTestFinished(() => journal.close());
	return { journal, lines };
}

/** Everything that can be read, and what is said about the rest. */
function read(...paths: readonly string[]) {
	const damages: string[] = [];
	const entries: JournalEntry[] = [...readJournal(paths, (text) => damages.push(text))];
	return { entries, damages };
}

/** A different instance each, so that a decision can be told from the next. */
const numbered = (number: number): Promise<MadeCheck> =>
	makeCheck(
		{ source: snapshot("cmp-01", "1.1.0", number), target: snapshot("cmp-02", "1.0.0", number) },
		{ ...REQUEST, announced: { count: 1, names: `number ${number}`, complete: true } },
	);
const numbersOf = (entries: readonly JournalEntry[]) =>
	entries.map(({ request }) => Number(request.announced.names.replace("number ", "")));

async function writeNumbered(journal: Journal, from: number, to: number) {
	for (let number = from; number < to; number++) journal.record(await numbered(number));
	await closeWritten(journal);
}

describe("a decision that is read can be made again", () => {
	test.each(Object.entries(WAYS))("%s", async (_, way) => {
		const directory = temporaryDirectory();
		const { journal } = journalIn(directory);
		const made = await makeCheck(way);
		journal.record(made);
		await closeWritten(journal);
		const { entries, damages } = read(directory);
		expect(damages).toEqual([]);
		expect(entries).toHaveLength(1);
		const [entry] = entries;
		const { snapshots, ...decision } = made.decision;
		expect(entry).toMatchObject({ decision, request: made.request, request_id: made.options.request_id });
		const again = entry && checkAgain(entry.request, entry.basis());
		expect(canonicalJson(again)).toBe(canonicalJson(made.decision));
	});
});

test.each([
	["644", "640"],
	["666", "660"],
	["600", "600"],
])("a file that was there with mode %s has %s: decisions are not for all to read", async (before, after) => {
	const directory = temporaryDirectory();
	const file = join(directory, "journal-000001.jsonl");
	writeFileSync(file, "");
	chmodSync(file, Number.parseInt(before, 8));
	const { journal } = journalIn(directory);
	journal.record(await numbered(1));
	await closeWritten(journal);
	expect(statSync(file).size).toBeGreaterThan(0);
	expect((statSync(file).mode & 0o777).toString(8)).toBe(after);
});

test("a decision that no check came to is there with its reason, and cannot be made again", async () => {
	const directory = temporaryDirectory();
	const { journal } = journalIn(directory);
	journal.record(UNMADE);
	await closeWritten(journal);
	const { entries, damages } = read(directory);
	expect({ entries, damages }).toMatchObject({
		entries: [
			{
				unchecked: true,
				time: "2026-11-25T12:00:00.000Z",
				...UNMADE.options,
				request: { instance_uuid: INSTANCE, source_host: "-", dest_host: "cmp-02" },
				decision: UNMADE.decision,
			},
		],
		damages: [],
	});
	expect(() => entries[0]?.basis()).toThrow(
		`${directory}/journal-000001.jsonl:3: the decision cannot be made again: no check came to it (request.invalid)`,
	);
});

test("what stays the same is written once in each file", async () => {
	const directory = temporaryDirectory();
	const { journal } = journalIn(directory);
	const made = await makeCheck(WAYS["reject"] ?? expect.fail());
	for (let count = 0; count < 10; count++) journal.record(made);
	await closeWritten(journal);
	const lines = readFileSync(join(directory, "journal-000001.jsonl"), "utf8").trimEnd().split("\n");
	const types = lines.map((line) => JSON.parse(line).type);
	const once = ["journal", "device", "snapshot", "device", "snapshot", "policy"];
	expect(types).toEqual([...once, ...Array(10).fill("decision")]);
});

test("a journal is as large as it may be, and each of its files can be read alone", async () => {
	const directory = temporaryDirectory();
	const { journal } = journalIn(directory, { max_file_size: 64 * KIB, max_files: 3 });
	await writeNumbered(journal, 0, 200);
	const files = journalFiles(directory);
	expect(files).toHaveLength(3);
	for (const file of files) expect(statSync(file).size).toBeLessThanOrEqual(64 * KIB);
	const each = files.map((file) => read(file));
	for (const { entries, damages } of each) {
		expect(damages).toEqual([]);
		for (const { request, basis, decision } of entries) {
			expect(checkAgain(request, basis())).toMatchObject({ id: decision.id, text: decision.text });
		}
	}
	const numbers = each.flatMap(({ entries }) => numbersOf(entries));
	expect(numbers).toEqual(Array.from(numbers, (_, index) => 200 - numbers.length + index));
	expect(numbers.length).toBeGreaterThan(20);
});

/** what becomes of the file, as by logrotate or by somebody who makes room */
const UNDER_IT: readonly (readonly [string, (file: string) => void])[] = [
	["removed", (file) => rmSync(file)],
	["moved away", (file) => renameSync(file, `${file}.1`)],
	["emptied", (file) => truncateSync(file)],
];
test.each(UNDER_IT)("a file that is %s under it: decisions can soon be read and made again", async (_, befalls) => {
	const directory = temporaryDirectory();
	const { journal } = journalIn(directory);
	const made = await makeCheck(WAYS["reject"] ?? expect.fail());
	journal.record(made);
	await expect.poll(() => read(directory).entries.length).toBe(1);
	befalls(join(directory, "journal-000001.jsonl"));
	const lastAgain = () => {
		journal.record(made);
		const last = read(directory).entries.at(-1);
		return last && canonicalJson(checkAgain(last.request, last.basis()));
	};
	await expect.poll(lastAgain, { timeout: 15_000, interval: 200 }).toBe(canonicalJson(made.decision));
	expect(readFileSync(join(directory, "journal-000001.jsonl"), "utf8")).toMatch(/^\{"type":"journal"/m);
});

test("after a restart it goes on in the same file, behind a line that was torn", async () => {
	const directory = temporaryDirectory();
	await writeNumbered(journalIn(directory).journal, 0, 2);
	const file = join(directory, "journal-000001.jsonl");
	appendFileSync(file, '{"type":"decis');
	const torn = readFileSync(file, "utf8").split("\n").length;
	await writeNumbered(journalIn(directory).journal, 2, 4);
	expect(journalFiles(directory)).toEqual([file]);
	const { entries, damages } = read(directory);
	expect(damages).toEqual([`${file}:${torn}: the line is cut off, or has no checksum`]);
	expect(numbersOf(entries)).toEqual([0, 1, 2, 3]);
	for (const { basis } of entries) expect(basis).not.toThrow();
});

describe("a damaged journal", () => {
	test("whatever byte is changed, no other decision is lost and none is altered", async () => {
		const directory = temporaryDirectory();
		await writeNumbered(journalIn(directory).journal, 0, 8);
		const file = join(directory, "journal-000001.jsonl");
		const good = readFileSync(file);
		const whole = new Map(read(file).entries.map((entry) => [entry.place, canonicalJson(entry)]));
		const change = fc.record({ at: fc.nat(good.length - 1), xor: fc.integer({ min: 1, max: 255 }) });
		fc.assert(
			fc.property(change, ({ at, xor }) => {
				const bytes = Buffer.from(good);
				bytes[at] = (bytes[at] ?? 0) ^ xor;
				writeFileSync(file, bytes);
				const { entries, damages } = read(file);
				expect(damages.length).toBeGreaterThanOrEqual(1);
				for (const damage of damages) expect(damage).toMatch(/^\/.*\.jsonl:\d+: /);
				expect(entries.length).toBeGreaterThanOrEqual(whole.size - 2);
				const texts = new Set(whole.values());
				const altered = entries.filter((entry) => {
					const { place, ...rest } = entry;
					return ![...whole].some(([was]) => texts.has(canonicalJson({ ...rest, place: was })));
				});
				expect(altered).toEqual([]);
			}),
			{ numRuns: 200 },
		);
	});

	test("cut off anywhere, it is read up to there", async () => {
		const directory = temporaryDirectory();
		await writeNumbered(journalIn(directory).journal, 0, 8);
		const file = join(directory, "journal-000001.jsonl");
		const good = readFileSync(file);
		fc.assert(
			fc.property(fc.nat(good.length), (length) => {
				writeFileSync(file, good.subarray(0, length));
				const { entries, damages } = read(file);
				const whole = good.subarray(0, length).toString().split("\n").slice(0, -1);
				const rest = length - whole.reduce((sum, line) => sum + line.length + 1, 0);
				const isLastWhole = rest > 0 && good[length] === 0x0a;
				const decisions = whole.filter((line) => line.startsWith('{"type":"decision"')).length;
				const lastCounts = isLastWhole && entries.length === decisions + 1 ? 1 : 0;
				expect(entries).toHaveLength(decisions + lastCounts);
				expect(damages).toHaveLength(rest === 0 || isLastWhole ? 0 : 1);
			}),
			{ numRuns: 200 },
		);
	});

	test("a decision of which a line is lost is there, and says why it cannot be made again", async () => {
		const directory = temporaryDirectory();
		await writeNumbered(journalIn(directory).journal, 0, 1);
		const file = join(directory, "journal-000001.jsonl");
		const lines = readFileSync(file, "utf8").split("\n");
		const lost = ["device", "snapshot", "policy"].map((type) => {
			writeFileSync(file, lines.filter((line) => !line.startsWith(`{"type":"${type}"`)).join("\n"));
			const [entry] = read(file).entries;
			return () => entry?.basis();
		});
		expect(lost[0]).toThrow(
			/:\d: the decision cannot be made again: the line of device [0-9a-f]{32} of cmp-01 is damaged$/,
		);
		expect(lost[1]).toThrow(/:\d: the decision cannot be made again: the line of snapshot [0-9a-f]{32} is damaged$/);
		expect(lost[2]).toThrow(/:\d: the decision cannot be made again: the line of policy [0-9a-f]{32} is damaged$/);
	});

	test("a line with a good checksum that is no entry", async () => {
		const file = join(temporaryDirectory(), "journal-000001.jsonl");
		const { sealLine } = await import("../../src/journal/line.ts");
		writeFileSync(file, sealLine({ type: "journal", schema_version: "2.0" }) + sealLine({ type: "decision" }));
		expect(read(file).damages).toEqual([
			expect.stringMatching(/:1: no entry of a journal: .*expected 1\.x/),
			expect.stringMatching(/:2: no entry of a journal: .*time/),
		]);
	});
});

describe("row 75: what the disk does is no concern of a check", () => {
	test("a directory that cannot be: one warning, and everything is counted", async () => {
		const directory = temporaryDirectory();
		writeFileSync(join(directory, "file"), "");
		const { journal, lines } = journalIn(join(directory, "file", "journal"));
		for (let number = 0; number < 5; number++) journal.record(await numbered(number));
		await closeWritten(journal);
		expect(lines).toHaveLength(1);
		expect(lines[0]).toMatch(/WARNING .* journal .*: ENOTDIR.*; checks go on, decisions are not written down/);
	});

	test("a directory that cannot be is told at the start, and again when a decision is lost", async () => {
		const directory = temporaryDirectory();
		writeFileSync(join(directory, "file"), "");
		const { journal, lines } = journalIn(join(directory, "file", "journal"));
		const warning = expect.stringMatching(/WARNING .* journal .*: ENOTDIR.*; checks go on/);
		journal.open();
		await vi.waitFor(() => expect(lines).toEqual([warning]), { timeout: 30_000 });
		expect(journal.state()).toEqual({ waiting: 0, lost: 0 });
		journal.record(await numbered(1));
		await vi.waitFor(() => expect(lines).toEqual([warning, warning]), { timeout: 30_000 });
		expect(journal.state().lost).toBe(1);
	});

	test("a decision that comes while it is being opened is written", async () => {
		const directory = temporaryDirectory();
		const { journal, lines } = journalIn(directory);
		const check = await numbered(1);
		journal.open();
		journal.record(check);
		await closeWritten(journal);
		expect(numbersOf(read(directory).entries)).toEqual([1]);
		expect(lines).toEqual([]);
	});

	test("a decision that comes just when the last one is written does not wait for another one", async () => {
		const directory = temporaryDirectory();
		const blocked = join(directory, "journal");
		writeFileSync(blocked, "");
		const checks = await Promise.all([1, 2, 3].map(numbered));
		const [first, second, third] = checks as [MadeCheck, MadeCheck, MadeCheck];
		const warning = vi.fn();
		// It says that it works again as the last thing that it does about the second one.
		const info = () => queueMicrotask(() => journal.record(third));
		const journal = new Journal({ directory: blocked, max_file_size: 1024 * KIB, max_files: 4 }, { warning, info });
		journal.record(first);
		await vi.waitFor(() => expect(warning).toHaveBeenCalled(), { timeout: 30_000 });
		rmSync(blocked);
		const later = performance.now() + 10_000;
		const clock = vi.spyOn(performance, "now").mockImplementation(() => later);
		onTestFinished(() => clock.mockRestore());
		journal.record(second);
		await vi.waitFor(() => expect(numbersOf(read(blocked).entries)).toEqual([2, 3]), { timeout: 30_000 });
	});

	const canMount = spawnSync("mount", ["--version"]).status === 0 && process.getuid?.() === 0;
	test.skipIf(!canMount)("a full disk: it goes on when there is room again, and says what was lost", async () => {
		const directory = temporaryDirectory();
		execFileSync("mount", ["-t", "tmpfs", "-o", "size=128k", "tmpfs", directory]);
		onTestFinished(() => void execFileSync("umount", ["-l", directory]));
		writeFileSync(join(directory, "ballast"), Buffer.alloc(64 * KIB));
		const { journal, lines } = journalIn(join(directory, "journal"));
		const checks = await Promise.all(Array.from({ length: 100 }, (_, number) => numbered(number)));
		for (const check of checks) {
			journal.record(check);
			await sleep(1);
		}
		await vi.waitFor(() => expect(lines).toEqual([expect.stringMatching(/ WARNING .*ENOSPC/)]), { timeout: 30_000 });
		const before = read(join(directory, "journal")).entries.length;
		expect(before).toBeGreaterThan(0);

		rmSync(join(directory, "ballast"));
		await vi.waitFor(
			async () => {
				journal.record(await numbered(100));
				await sleep(50);
				expect(lines).toHaveLength(2);
			},
			{ timeout: 30_000, interval: 200 },
		);
		const [, lost] = /works again, (\d+) decisions were lost/.exec(lines[1] ?? "") ?? [];
		await journal.close();
		const { entries, damages } = read(join(directory, "journal"));
		expect(Number(lost)).toBeGreaterThanOrEqual(100 - before);
		expect(numbersOf(entries).slice(0, before)).toEqual(Array.from({ length: before }, (_, index) => index));
		expect(numbersOf(entries).at(-1)).toBe(100);
		expect(damages.length).toBeLessThanOrEqual(1);
		for (const { basis } of entries.slice(before)) expect(basis).not.toThrow();
	});

	test("a disk that hangs: nothing waits, memory is bounded, and what was lost is counted", async () => {
		const directory = temporaryDirectory();
		mkdirSync(join(directory, "journal"));
		// Nobody reads from it, so a write does not return once it is full.
		const file = join(directory, "journal", "journal-000001.jsonl");
		execFileSync("mkfifo", [file]);
		const { journal, lines } = journalIn(join(directory, "journal"));
		const check = await numbered(1);
		const filler = { ...check, request: { ...check.request, ports: Array(20_000).fill("0000:00:00.0") } };
		journal.record(filler);
		await sleep(200);
		const started = performance.now();
		for (let count = 0; count < 10_000; count++) journal.record(check);
		expect(performance.now() - started).toBeLessThan(5_000);
		expect(lines).toEqual([expect.stringMatching(/WARNING .*the disk is too slow; checks go on/)]);
		const passed = ownTime();
		await journal.close();
		expect(passed()).toBeLessThan(3_000);
		// Lets the write go, which would otherwise hold this process.
		createReadStream(file).resume();
		await vi.waitFor(() => expect(lines).toHaveLength(2), { timeout: 30_000 });
		expect(lines[1]).toMatch(/INFO .*works again, 9489 decisions were lost/);
	});
});
