import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { reduceMessage } from "../../src/recording/allow-list.ts";
import { linesOf, type RecordedMessage, readLine } from "../../src/recording/recording.ts";

const FOLDERS = ["recordings", "recording/nova", "recording/firehose"].map(
	(path) => `${import.meta.dirname}/../${path}`,
);

/** Every message that was captured, of Nova and of oslo.messaging. */
const captured: readonly (readonly [name: string, message: RecordedMessage["message"]])[] = FOLDERS.flatMap((folder) =>
	readdirSync(folder).flatMap((file) =>
		[...linesOf(readFileSync(`${folder}/${file}`, "utf8").split("\n"), file)].flatMap((line) => {
			const message = readLine(line)?.message;
			return message ? [[line.place, message] as const] : [];
		}),
	),
);

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
	typeof value === "object" && value !== null;

/** Where in a message something is, by what it is; JSON in a text is looked into. */
function leaves(value: unknown, path = ""): readonly (readonly [path: string, value: unknown])[] {
	if (typeof value === "string" && /^[[{]/.test(value)) return leaves(JSON.parse(value), `${path}(json)`);
	if (!isObject(value)) return [[path, value]];
	return Object.entries(value).flatMap(([key, item]) =>
		leaves(item, path === "" ? key : `${path}.${Array.isArray(value) ? "*" : key}`),
	);
}

/** The same message with a text of its own in the place of every text. */
function withCanaries(value: unknown, next: () => string, key = ""): unknown {
	if (key === "method" || key.startsWith("nova_object.name") || key === "class") return value;
	if (typeof value === "string") {
		if (!/^[[{]/.test(value)) return next();
		return JSON.stringify(withCanaries(JSON.parse(value), next));
	}
	if (Array.isArray(value)) return value.map((item) => withCanaries(item, next));
	if (!isObject(value)) return value;
	return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, withCanaries(item, next, name)]));
}

/** Everything that may be written of a captured message. What is new here is a decision about secrets. */
const WRITTEN = [
	"_context_global_request_id",
	"_context_project_id",
	"_context_request_id",
	"_context_user_id",
	"_msg_id",
	"_reply_q",
	"_timeout",
	"_unique_id",
	"args.arg",
	"args.block_migration",
	"args.dest",
	"args.disk_over_commit",
	"args.instance.nova_object.data.flavor.nova_object.data.extra_specs.pci_passthrough:alias",
	"args.instance.nova_object.data.flavor.nova_object.data.extra_specs.resources:VGPU",
	"args.instance.nova_object.data.flavor.nova_object.name",
	"args.instance.nova_object.data.flavor.nova_object.version",
	"args.instance.nova_object.data.host",
	"args.instance.nova_object.data.info_cache.nova_object.data.network_info(json).*.id",
	"args.instance.nova_object.data.info_cache.nova_object.data.network_info(json).*.profile.pci_slot",
	"args.instance.nova_object.data.info_cache.nova_object.data.network_info(json).*.vnic_type",
	"args.instance.nova_object.data.info_cache.nova_object.name",
	"args.instance.nova_object.data.info_cache.nova_object.version",
	"args.instance.nova_object.data.pci_requests.nova_object.data.requests.*.nova_object.data.alias_name",
	"args.instance.nova_object.data.pci_requests.nova_object.data.requests.*.nova_object.data.count",
	"args.instance.nova_object.data.pci_requests.nova_object.data.requests.*.nova_object.name",
	"args.instance.nova_object.data.pci_requests.nova_object.data.requests.*.nova_object.version",
	"args.instance.nova_object.data.pci_requests.nova_object.name",
	"args.instance.nova_object.data.pci_requests.nova_object.version",
	"args.instance.nova_object.data.uuid",
	"args.instance.nova_object.name",
	"args.instance.nova_object.version",
	"args.instance.uuid",
	"args.migrate_data.nova_object.data.pci_dev_map_src_dst.0000:81:00.1",
	"args.migrate_data.nova_object.data.target_mdevs.f9a9f8cf-169e-4f74-b264-c32d7885b2b8",
	"args.migrate_data.nova_object.name",
	"args.migrate_data.nova_object.version",
	"args.migration.nova_object.data.dest_compute",
	"args.migration.nova_object.data.source_compute",
	"args.migration.nova_object.name",
	"args.migration.nova_object.version",
	"ending",
	"failure(json).args.*",
	"failure(json).class",
	"failure(json).kwargs.code",
	"failure(json).kwargs.reason",
	"failure(json).message",
	"failure(json).module",
	"failure(json).tb.*",
	"method",
	"namespace",
	"result",
	"result.nova_object.name",
	"result.nova_object.version",
	"version",
];

describe("SEC-12: nothing of a message is written but what is known to be harmless", () => {
	test("the paths that are left of all captured messages", () => {
		const left = captured.flatMap(([, message]) => leaves(reduceMessage(message)));
		const paths = new Set(left.filter(([, value]) => value !== null).map(([path]) => path));
		expect([...paths].filter((path) => !WRITTEN.includes(path))).toEqual([]);
	});

	test.each(captured)("SEC-13: of %s, with a canary in every field", (_, message) => {
		let count = 0;
		const stuffed = withCanaries(message, () => `canary${++count}x`) as typeof message;
		expect(count).toBeGreaterThan(0);
		const left = leaves(reduceMessage(stuffed)).filter(([, value]) => String(value).includes("canary"));
		for (const [path] of left) expect(WRITTEN).toContain(path);
	});

	test("unless it is one of these", () => {
		const secrets = captured.flatMap(([, message]) =>
			leaves(message)
				.filter(([path]) => /auth_token|password|user_data|key_data|catalog|connection_info|vtpm|hmac/.test(path))
				.map(([, value]) => value)
				.filter((value) => typeof value === "string" && value.length > 8),
		);
		expect(secrets.length).toBeGreaterThan(10);
		const text = captured.map(([, message]) => JSON.stringify(reduceMessage(message))).join("");
		for (const secret of secrets) expect(text).not.toContain(secret);
	});
});

describe("whatever a message is", () => {
	const message = fc.dictionary(
		fc.oneof(fc.constantFrom("method", "args", "result", "failure", "_msg_id", "_context_request_id"), fc.string()),
		fc.oneof(fc.jsonValue(), fc.json()),
	);

	test("it is reduced to the same again", () => {
		fc.assert(
			fc.property(fc.oneof(message, fc.constantFrom(...captured.map(([, one]) => one))), (one) => {
				const once = reduceMessage(one as Record<string, unknown>);
				expect(reduceMessage(once)).toEqual(once);
			}),
		);
	});

	test("no field is there that was not", () => {
		expect(
			reduceMessage(JSON.parse('{"method":"m","args":{"__proto__":{"host":"x"},"constructor":"y","instance":null}}')),
		).toEqual(JSON.parse('{"method":"m","args":{"__proto__":null,"constructor":null,"instance":null}}'));
	});
});

test("the words of a failure are kept where they are ours, its class always", () => {
	const failure = (type: string) => {
		const told = {
			class: type,
			module: "m",
			message: "secret",
			tb: ["secret"],
			args: ["a"],
			kwargs: { reason: "r", x: "y" },
		};
		const { failure: reduced } = reduceMessage({ failure: JSON.stringify(told), result: null });
		return JSON.parse(String(reduced));
	};
	expect(failure("MigrationPreCheckError")).toEqual({
		class: "MigrationPreCheckError",
		module: "m",
		tb: ["left out"],
		message: "secret",
		args: ["a"],
		kwargs: { reason: "r" },
	});
	expect(failure("ValueError")).toEqual({ class: "ValueError", module: "m", tb: ["left out"] });
});
