import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Journal } from "../../../src/journal/journal.ts";
import { closeWritten, INSTANCE, makeCheck, REQUEST, UNMADE, WAYS } from "../../support/checks.ts";
import { novacompat } from "../../support/cli.ts";
import { recordingLog } from "../../support/log.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const OTHER = "1d778c01-9557-4d25-9de2-46fa7dd38ba8";
const directory = temporaryDirectory(afterAll);
beforeAll(async () => {
	const journal = new Journal({ directory, max_file_size: 1024 * 1024, max_files: 2 }, recordingLog().log);
	for (const way of Object.values(WAYS)) journal.record(await makeCheck(way));
	journal.record(
		await makeCheck(WAYS["accept"] ?? expect.fail(), { ...REQUEST, instance_uuid: OTHER, devices: ["cmp-01-gpu"] }),
	);
	await closeWritten(journal);
});

const read = (...words: readonly string[]) => novacompat("journal", ...words, "--directory", directory);
const listed = (...words: readonly string[]) => JSON.parse(read("list", ...words, "--format", "json").stdout);

describe("journal list", () => {
	test("a decision on a line, in the order in which they were made", () => {
		const { status, stdout, stderr } = read("list");
		expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
		const [header, ...rows] = stdout.trimEnd().split("\n");
		expect(header).toMatch(/^TIME +ID +INSTANCE +FROM +TO +VERDICT +REASON$/);
		expect(rows).toHaveLength(Object.keys(WAYS).length + 1);
		expect(rows[2]).toMatch(
			/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}[0-9a-f]{12} {2}0002587c-\S+ {2}cmp-01 {2}cmp-02 {2}reject +version\.minor_downgrade: software_version 1\.1\.0 needs/,
		);
	});

	/** options, how many decisions are left */
	const FILTERS: readonly (readonly [options: readonly string[], count: number])[] = [
		[["--instance", OTHER], 1],
		[["--instance", INSTANCE.slice(0, 8)], Object.keys(WAYS).length],
		[["--verdict", "reject"], 2],
		[["--verdict", "reject", "unknown"], 5],
		[["--host", "cmp-02"], Object.keys(WAYS).length + 1],
		[["--host", "cmp-03"], 0],
		[["--since", "2h"], Object.keys(WAYS).length + 1],
		[["--since", "2999-01-01"], 0],
	];
	test.each(FILTERS)("%j leaves %i", (options, count) => expect(listed(...options)).toHaveLength(count));

	test("a verdict that there is none of", () => {
		const { status, stderr } = read("list", "--verdict", "accept", "rejected");
		expect(stderr).toContain("'rejected' is invalid. Allowed choices are accept, conditional, unknown, reject.");
		expect(status).toBe(64);
	});

	test("a mistake in --since", () => {
		const { status, stderr } = read("list", "--since", "yesterday");
		expect({ status, stderr }).toMatchObject({ status: 64, stderr: expect.stringContaining("Expected 30m, 2h, 7d") });
	});
});

describe("a journal of the shadow", () => {
	/** verdict, what Nova did */
	const CHECKS = [
		["accept", "accepted"],
		["reject", "accepted"],
		["reject", "accepted"],
		["unknown, source", "accepted"],
		["reject", "refused"],
		["accept", "unseen"],
	] as const;
	const shadowed = temporaryDirectory(afterAll);
	beforeAll(async () => {
		const journal = new Journal({ directory: shadowed, max_file_size: 1024 * 1024, max_files: 2 }, recordingLog().log);
		for (const [way, nova] of CHECKS) {
			const made = await makeCheck(WAYS[way] ?? expect.fail());
			journal.record({ ...made, shadow: { cell: "cell1", nova, ...(way === "accept" && { exact: made.decision }) } });
		}
		journal.record(await makeCheck(WAYS["reject"] ?? expect.fail()));
		await closeWritten(journal);
	});
	const run = (...words: readonly string[]) => novacompat("journal", ...words, "--directory", shadowed).stdout;

	test("list says what Nova did, or that it asked", () => {
		const [header, ...rows] = run("list").trimEnd().split("\n");
		expect(header).toMatch(/ TO +NOVA +VERDICT +REASON$/);
		expect(rows.map((row) => row.split(/ {2,}/)[5])).toEqual([...CHECKS.map(([, nova]) => nova), "asks us"]);
	});

	test("show says it of one, with what is said of the devices that Nova chose", () => {
		const [{ decision }] = JSON.parse(run("list", "--verdict", "accept", "--format", "json"));
		expect(run("show", decision.id)).toMatch(
			/\nshadow +cell1, Nova: unseen\nchosen +with the devices that Nova chose: accept \[\w{12}\]; cmp-01-gpu -> cmp-02-gpu\n/,
		);
	});

	test("report sums up what enforce would have refused, and leaves out what was asked", () => {
		const [summary, , title, , header, ...rows] = run("report").trimEnd().split("\n");
		expect(summary).toMatch(
			/^6 checks: agreed with Nova on 2; would have rejected 3 that Nova accepted \(1 of them unknown\);/,
		);
		expect(title).toBe("Nova accepted, and would not in mode enforce:");
		expect(header).toMatch(/^COUNT +FROM +TO +CODE +LAST +ID +REASON$/);
		expect(rows).toEqual([
			expect.stringMatching(/^2 +cmp-01 +cmp-02 +version.minor_downgrade .* software_version 1\.1\.0 needs/),
			expect.stringMatching(/^1 +cmp-01 +cmp-02 +agent.timeout .* no answer$/),
		]);
	});

	test("report of a journal without any", () => {
		expect(read("report").stdout).toMatch(/^0 checks: [^\n]*\n$/);
	});
});

describe("journal show", () => {
	test("a decision by its id: from what it was made, and what every device met", () => {
		const [reject] = listed("--verdict", "reject");
		const { status, stdout } = read("show", reject.decision.id.slice(0, 6));
		expect(status).toBe(0);
		expect(stdout).toContain(`instance  ${INSTANCE}\n`);
		expect(stdout).toContain("request   req-3b7e9f7c-5b0e-4b6e-9f3e-0d7a3c1a5f42, req-1\n");
		expect(stdout).toContain("source    cmp-01, boot 6f7a1f6e-6d9b-4f7e-8f0e-1c2d3e4f5a6b, generation 1, 1 device\n");
		expect(stdout).toContain(`journal   ${directory}/journal-000001.jsonl:`);
		expect(stdout).toContain(`REJECT  cmp-01 -> cmp-02  [${reject.decision.id}]\n`);
		expect(stdout).toMatch(/reject {2}cmp-01-gpu comes closest to cmp-02-gpu\n +ATTRIBUTE +SOURCE HAS +TARGET HAS\n/);
	});

	test("of a host that could not be asked, why", () => {
		const stale = listed().find(({ target }: { target: { age?: number } }) => target.age !== undefined);
		expect(read("show", stale.decision.id).stdout).toMatch(
			/target +agent\.timeout: no answer; cmp-02, boot \S+, generation 1, 1 device, 13 s old\n/,
		);
	});

	test("by its request id it is the last one", () => {
		const { stdout } = read("show", "req-3b7e9f7c-5b0e-4b6e-9f3e-0d7a3c1a5f42");
		expect(stdout).toContain(`, the last of ${Object.keys(WAYS).length + 1}\n`);
	});

	test.each([
		["show", "feedbeef", "no decision with id or request id"],
		["why", "feedbeef", "no decision about instance feedbeef"],
	])("%s with the journal named before what is looked for", (command, id, says) => {
		const { status, stderr } = novacompat("journal", command, "--directory", directory, id);
		expect({ status, stderr }).toMatchObject({ status: 64, stderr: expect.stringContaining(says) });
	});

	test("what is not there", () => {
		const { status, stderr } = read("show", "feedbeef");
		expect(status).toBe(64);
		expect(stderr).toBe(`novacompat: ${directory}: no decision with id or request id "feedbeef"\n`);
	});
});

describe("journal why", () => {
	test("every decision about an instance with every reason", () => {
		const { status, stdout } = read("why", INSTANCE);
		expect(status).toBe(0);
		expect(stdout.match(/^(ACCEPT|REJECT|UNKNOWN) /gm)).toHaveLength(Object.keys(WAYS).length);
		expect(stdout).toContain("  error  agent.timeout      no answer\n  error  agent.unreachable  not there\n");
	});

	test("an instance that nobody asked about", () => {
		expect(read("why", "ffff")).toMatchObject({ status: 64, stderr: expect.stringContaining("no decision about") });
	});

	test("of all instances since a time", () => {
		const { status, stdout } = read("why", "--since", "2h");
		expect(status).toBe(0);
		expect(stdout.match(/^(ACCEPT|REJECT|UNKNOWN) /gm)).toHaveLength(Object.keys(WAYS).length + 1);
		expect(stdout.match(new RegExp(`^[-0-9]{10} [:0-9]{8}  instance ${INSTANCE}  req-`, "gm"))).toHaveLength(
			Object.keys(WAYS).length,
		);
		const none = `novacompat: ${directory}: no decision since 2999-01-01T00:00:00.000Z\n`;
		expect(read("why", "--since", "2999-01-01")).toEqual({ status: 0, stdout: "", stderr: none });
	});

	test("neither an instance nor a time", () => {
		const { status, stderr } = read("why");
		expect({ status, stderr }).toEqual({
			status: 64,
			stderr: "novacompat: which decisions? expected an instance, or --since\n",
		});
	});
});

describe("a decision that no check came to", () => {
	const unmade = temporaryDirectory(afterAll);
	beforeAll(async () => {
		const journal = new Journal({ directory: unmade, max_file_size: 1024 * 1024, max_files: 2 }, recordingLog().log);
		journal.record(await makeCheck(WAYS["accept"] ?? expect.fail()));
		journal.record(UNMADE);
		await closeWritten(journal);
	});
	const run = (...words: readonly string[]) => novacompat("journal", ...words, "--directory", unmade);
	const { decision } = UNMADE;
	const whyNot = "the decision cannot be made again: no check came to it (request.invalid)";

	test("list and why have it with its reason", () => {
		const list = run("list", "--verdict", "unknown");
		expect(list).toMatchObject({ status: 0, stderr: "" });
		expect(list.stdout).toMatch(
			/ 0002587c-\S+ {2}- +cmp-02 {2}unknown {2}request\.invalid: instance\.host is missing\n$/,
		);
		expect(run("why", INSTANCE).stdout).toContain(
			`UNKNOWN (refused by policy)  - -> cmp-02  [${decision.id}]\n  error  request.invalid  instance.host is missing\n`,
		);
	});

	test("show says why it cannot be made again", () => {
		const { status, stdout } = run("show", UNMADE.options.request_id ?? expect.fail());
		expect(status).toBe(0);
		expect(stdout).toMatch(/\nmade of +\S+journal-000001\.jsonl:\d+: the decision cannot be made again: /);
		expect(stdout).toContain(whyNot);
		expect(stdout).not.toContain("\ntook ");
		expect(stdout).toContain("  error  request.invalid  instance.host is missing\n");
	});

	test("so do explain and policy diff", () => {
		const again = novacompat("explain", "--journal", decision.id, "--directory", unmade);
		expect(again).toMatchObject({ status: 64, stdout: "", stderr: expect.stringContaining(whyNot) });
		const files = ["config/policy.yaml", "config/policy.yaml"];
		expect(novacompat("policy", "diff", ...files, "--journal", unmade)).toEqual({
			status: 0,
			stdout: "0 of 1 decisions flip; 1 more was made without a check.\n",
			stderr: "",
		});
	});
});

test("what is damaged is said with its place, the rest is read, and the exit code tells", () => {
	const copy = join(temporaryDirectory(), "journal-000001.jsonl");
	const lines = readFileSync(join(directory, "journal-000001.jsonl"), "utf8").split("\n");
	const at = lines.findIndex((line) => line.includes('"verdict":"reject"'));
	lines[at] = lines[at]?.replace('"verdict":"reject"', '"verdict":"accept"') ?? "";
	writeFileSync(copy, lines.join("\n"));
	appendFileSync(copy, '{"type":"decision","ti');
	const { status, stdout, stderr } = novacompat("journal", "list", "--directory", copy, "--format", "json");
	expect(status).toBe(1);
	expect(JSON.parse(stdout)).toHaveLength(Object.keys(WAYS).length);
	expect(stderr).toBe(
		`novacompat: ${copy}:${at + 1}: the checksum does not fit: the line was changed\n` +
			`novacompat: ${copy}:${lines.length}: the line is cut off, or has no checksum\n`,
	);
});

describe("policy diff with a damaged journal", () => {
	const count = Object.keys(WAYS).length + 1;
	/** What becomes of each line, and what is said. */
	const DAMAGED: Readonly<Record<string, readonly [(line: string) => string, RegExp]>> = {
		"the policies": [
			(line) => line.replace('"type":"policy"', '"type":"Policy"'),
			new RegExp(
				`^0 of 0 decisions flip; 2 lines are damaged; ${count} decisions of the journal cannot be made again\\.\n$`,
			),
		],
		"one decision": [
			(line) => line.replace('"message":"not there"', '"message":"nowhere"'),
			new RegExp(`^0 of ${count - 1} decisions flip; 1 line is damaged\\.\n$`),
		],
	};
	test.each(Object.entries(DAMAGED))("%s: it is counted, and the exit code tells", (_, [change, says]) => {
		const copy = join(temporaryDirectory(), "journal-000001.jsonl");
		const lines = readFileSync(join(directory, "journal-000001.jsonl"), "utf8").split("\n");
		writeFileSync(copy, lines.map(change).join("\n"));
		const policy = "config/policy.yaml";
		const { status, stdout } = novacompat("policy", "diff", policy, policy, "--journal", copy);
		expect(stdout).toMatch(says);
		expect(status).toBe(1);
	});
});

describe("no journal", () => {
	const policy = "config/policy.yaml";
	test.each([
		[["journal", "list"], "--directory"],
		[["policy", "diff", policy, policy], "--journal"],
		[["replay", "config/samples/migrations.jsonl"], "--journal"],
		[["record", "config/samples/migrations.jsonl"], "--journal"],
		[["explain", "--journal", "feedbeef"], "--directory"],
	])("%j says how there is one", (words, option) => {
		const nowhere = join(directory, "nowhere");
		const { status, stdout, stderr } = novacompat(...words, option, nowhere);
		expect({ status, stdout, stderr }).toEqual({
			status: 64,
			stdout: "",
			stderr: `novacompat: ${nowhere}: there is no journal; \`journal\` in the configuration of serve makes one, and ${option} says where it is\n`,
		});
	});
});
