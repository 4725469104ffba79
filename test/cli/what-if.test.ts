import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { closeWritten, makeCheck, snapshot, WAYS } from "../support/checks.ts";
import { novacompat } from "../support/cli.ts";
import { recordingLog } from "../support/log.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const directory = temporaryDirectory(afterAll);
const ids = new Map<string, string>();
beforeAll(async () => {
	const journal = new Journal({ directory, max_file_size: 1024 * 1024, max_files: 2 }, recordingLog().log);
	for (const [name, way] of Object.entries(WAYS)) {
		const made = await makeCheck(way);
		ids.set(name, made.decision.id);
		journal.record(made);
	}
	await closeWritten(journal);
});

const explain = (name: string, ...words: readonly string[]) =>
	novacompat("explain", "--journal", ids.get(name) ?? name, "--directory", directory, ...words);
const file = (name: string, text: string) => {
	writeFileSync(join(directory, name), text);
	return join(directory, name);
};

describe("explain --journal", () => {
	test("nothing otherwise: the decision that was made", () => {
		const { status, stdout } = explain("reject");
		expect(status).toBe(2);
		expect(stdout).toContain(`was  REJECT  cmp-01 -> cmp-02  [${ids.get("reject")}]\n  no reason changes\n\nREJECT`);
	});

	test("another attribute: what there was and is no more, what is new, and all of it again", () => {
		const set = "target.devices[cmp-02-gpu].attributes.software_version=1.1.0";
		const { status, stdout } = explain("reject", "--set", set);
		expect(status).toBe(0);
		expect(stdout).toMatch(
			/^was {2}REJECT {2}cmp-01 -> cmp-02 .*\n {2}- {2}error {2}version\.minor_downgrade {2}software_version 1\.1\.0 needs.*\n\nACCEPT {2}cmp-01 -> cmp-02 /,
		);
	});

	/** decision, what is otherwise, exit code, reasons that are new */
	const OTHERWISE: readonly (readonly [string, readonly string[], number, readonly string[]])[] = [
		["accept", ["--set", "source.devices[*].attributes.software_version=2.0.0"], 2, ["version.major_mismatch"]],
		["accept", ["--unset", "target.devices[*].attributes.software_version"], 2, ["attribute.missing_target"]],
		["accept", ["--set", "target.devices[*].unreadable.software_version=EIO"], 3, ["attribute.unreadable"]],
		["accept", ["--set", "target.devices[*].attributes.mdev_type="], 2, ["type.mismatch"]],
		["reject", ["--target", "newer.json"], 0, []],
		["unknown, source", ["--source", "source.json"], 2, ["version.minor_downgrade"]],
		["unknown, source", ["--policy", "lenient.yaml"], 3, []],
	];
	test.each(OTHERWISE)("%s with %j exits with %i", (name, words, status, codes) => {
		file("newer.json", JSON.stringify(snapshot("cmp-02", "1.2.0")));
		file("source.json", JSON.stringify(snapshot("cmp-01", "1.1.0")));
		file("lenient.yaml", "unknown: accept\n");
		const given = words.map((word) => (/\.(json|yaml)$/.test(word) ? join(directory, word) : word));
		const result = explain(name, "--format", "json", ...given);
		expect(result.status).toBe(status);
		const told = JSON.parse(result.stdout);
		expect(told.recorded.id).toBe(ids.get(name));
		expect(told.new.map(({ code }: { code: string }) => code)).toEqual(codes);
	});

	test("what is told beside the devices is told, as by journal show", () => {
		const id = ids.get("an old snapshot") ?? "";
		const shown = novacompat("journal", "show", id, "--directory", directory);
		for (const { stdout } of [explain(id), shown]) {
			expect(stdout).toMatch(
				/^ACCEPT .*\n {2}warning {2}snapshot\.stale_used {2}no answer; decided with its snapshot of 13 s ago$/m,
			);
		}
		expect(shown.stdout).toMatch(/generation 1, 1 device$/m);
	});

	/** words, what is said */
	const MISTAKES: readonly (readonly [readonly string[], string])[] = [
		[["--set", "target"], '--set is "target", expected source.devices[ID].attributes.NAME'],
		[["--set", "target.host=x"], '"target.host" is no path, expected source.devices[ID].attributes.NAME'],
		[["--unset", "source.devices[x].attributes.a"], 'cmp-01 has no device "x", expected one of cmp-01-gpu'],
		[["--device", "x", "y"], "--device x y has no meaning with --journal, whose request names the devices"],
		[["--target", "a.json", "--target", "b.json"], "--target a.json b.json: expected one host with --journal"],
		[["--target", "nowhere.json"], "nowhere.json"],
		[["--source", "nowhere.json"], "nowhere.json"],
	];
	test.each(MISTAKES)("%j is a mistake", (words, says) => {
		const { status, stderr } = explain("accept", ...words);
		expect({ status, stderr }).toMatchObject({ status: 64, stderr: expect.stringContaining(says) });
	});

	test("what nobody knows cannot be otherwise", () => {
		const { status, stderr } = explain("unknown, source", "--set", "source.devices[x].attributes.a=b");
		expect({ status, stderr }).toEqual({
			status: 64,
			stderr:
				"novacompat: source.devices[x].attributes.a: there is no snapshot of the source (agent.timeout), give one with --source\n",
		});
	});

	test.each(["--set", "--unset"])("%s without a decision", (option) => {
		const { status, stderr } = novacompat("explain", "--source", "x", "--target", "y", option, "z");
		expect({ status, stderr }).toEqual({
			status: 64,
			stderr: `novacompat: ${option} z has no meaning without --journal, which names the decision\n`,
		});
	});

	test("neither hosts nor a decision", () => {
		expect(novacompat("explain", "--source", "x")).toMatchObject({
			status: 64,
			stderr: expect.stringContaining("expected --source and --target, or --journal"),
		});
	});
});

describe("policy diff", () => {
	const diff = (older: string, newer: string, ...words: readonly string[]) =>
		novacompat("policy", "diff", file("old.yaml", older), file("new.yaml", newer), "--journal", directory, ...words);

	test("a journal that is named before the policies", () => {
		const [older, newer] = [file("old.yaml", "{}"), file("new.yaml", "{}")];
		const words = ["--journal", directory, "--journal", join(directory, "journal-000001.jsonl")];
		const { status, stdout } = novacompat("policy", "diff", ...words, older, newer);
		expect({ status, stdout }).toEqual({ status: 0, stdout: "0 of 16 decisions flip.\n" });
	});

	test("the same policy flips nothing", () => {
		expect(diff("{}", "{}")).toEqual({ status: 0, stdout: "0 of 8 decisions flip.\n", stderr: "" });
	});

	test("every decision that flips, with what it is now", () => {
		const { status, stdout } = diff("{}", "unknown: accept\n");
		expect(status).toBe(1);
		const [header, ...rows] = stdout.split("\n");
		expect(header).toMatch(/^TIME +ID +INSTANCE +FROM +TO +OLD +NEW +REASON NOW$/);
		expect(rows.filter((row) => / unknown {2,}unknown, allowed {2}/.test(row))).toHaveLength(4);
		expect(stdout).toContain("\n\n4 of 8 decisions flip.\n");
	});

	test("an override counts at the time of the decision, not now", () => {
		const at = (created: number, expires: number) =>
			`overrides: [{ author: a, reason: r, created: "${new Date(created).toISOString()}", expires: "${new Date(expires).toISOString()}", scope: { target_host: cmp-02, code: version.minor_downgrade } }]\n`;
		const now = Date.now();
		const flips = (policy: string) => JSON.parse(diff("{}", policy, "--format", "json").stdout);
		expect(flips(at(now - 3_600_000, now + 3_600_000))).toMatchObject([
			{ entry: { decision: { id: ids.get("reject") } }, before: { verdict: "reject" }, after: { verdict: "accept" } },
		]);
		expect(flips(at(now - 7_200_000, now - 3_600_000))).toEqual([]);
	});

	test("what is no policy", () => {
		expect(diff("{}", "direction: up\n").status).toBe(78);
	});
});
