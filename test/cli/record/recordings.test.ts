import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readRecordings } from "../../../src/cli/record/recordings.ts";
import { InvalidRecording } from "../../../src/recording/invalid-recording.ts";
import { REPOSITORY } from "../../support/cli.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const directory = temporaryDirectory(afterAll);
const path = (name: string) => join(directory, name);
const SAMPLE = readFileSync(join(REPOSITORY, "config/samples/migrations.jsonl"), "utf8");
const MESSAGE = `${JSON.stringify({ exchange: "nova", routing_key: "compute.cmp-01", message: { method: "ping" } })}\n`;

function read(file: string) {
	const damages: string[] = [];
	return { ...readRecordings([file], (text) => damages.push(text)), damages };
}

test("a capture may be longer than any text can be", () => {
	const file = path("long.jsonl");
	const blank = Buffer.alloc(2 ** 24, " ".repeat(2 ** 20 - 1).concat("\n"));
	const descriptor = openSync(file, "w");
	for (let written = 0; written <= 2 ** 29; written += blank.length) writeSync(descriptor, blank);
	writeSync(descriptor, MESSAGE);
	closeSync(descriptor);
	expect(read(file)).toMatchObject({ messages: [{ routing_key: "compute.cmp-01" }], damages: [] });
});

test("lines may end as those of Windows do", () => {
	const [as_written, converted] = [path("written.jsonl"), path("converted.jsonl")];
	writeFileSync(as_written, SAMPLE);
	writeFileSync(converted, SAMPLE.replaceAll("\n", "\r\n"));
	const { entries, messages } = read(as_written);
	expect(entries.length).toBeGreaterThan(0);
	const found = read(converted);
	expect(found).toMatchObject({ messages, damages: [] });
	expect(found.entries.map(({ decision }) => decision)).toEqual(entries.map(({ decision }) => decision));
});

describe("what is no recording is named, with what was expected", () => {
	test("of a later version", () => {
		const file = path("later.jsonl");
		writeFileSync(file, `${MESSAGE}{"type":"recording","schema_version":"2.0","shared":false}\n`);
		const message = `${file}:2: a recording of schema_version "2.0", expected 1.x`;
		expect(() => read(file)).toThrow(new InvalidRecording(message));
	});

	test("of a later version of which everything is read", () => {
		const file = path("minor.jsonl");
		writeFileSync(file, `{"type":"recording","schema_version":"1.7","shared":true,"more":1}\n${MESSAGE}`);
		expect(read(file)).toMatchObject({ shared: true, messages: [{ routing_key: "compute.cmp-01" }], damages: [] });
	});

	test("a directory", () => {
		const file = path("directory");
		mkdirSync(file);
		const message = `${file}: is a directory, expected a file of recorded messages`;
		expect(() => read(file)).toThrow(new InvalidRecording(message));
	});
});
