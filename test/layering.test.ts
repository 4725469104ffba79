import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { REPOSITORY } from "./support/cli.ts";

const directory = mkdtempSync(join(tmpdir(), "novacompat-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** file, what it must not import, what it may import */
const LAYERS: readonly (readonly [file: string, forbidden: readonly string[], allowed: readonly string[]])[] = [
	["src/compat/x.ts", ["node:fs", "zod", "../yaml.ts", "../snapshot/snapshot.ts"], ["./pair.ts", "./formats/index.ts"]],
	[
		"src/compat/formats/x.ts",
		["node:fs", "zod", "../../log/logger.ts", "../rules/index.ts"],
		["../pair.ts", "./index.ts"],
	],
	[
		"src/policy/x.ts",
		["axios", "../precheck.ts", "../messaging/target.ts"],
		["../zod.ts", "../compat/policy.ts", "../yaml.ts"],
	],
	[
		"src/snapshot/x.ts",
		["axios", "amqplib", "../agent/scan.ts", "../precheck.ts"],
		["../zod.ts", "../compat/device.ts"],
	],
	["src/snapshot/agent-http.ts", ["amqplib", "../nova/objects.ts"], ["axios", "./snapshot.ts"]],
	[
		"src/messaging/x.ts",
		["amqplib", "axios", "../log/logger.ts", "../precheck.ts", "../compat/device.ts", "./rabbit/topology.ts"],
		["./target.ts", "../zod.ts", "node:zlib"],
	],
	[
		"src/messaging/rabbit/x.ts",
		["amqplib", "axios", "../../log/logger.ts", "../../precheck.ts"],
		["../target.ts", "../../zod.ts", "./topology.ts"],
	],
	["src/messaging/rabbit/rabbit.ts", ["axios", "../../nova/methods.ts"], ["amqplib", "../target.ts"]],
	[
		"src/agent/x.ts",
		["axios", "amqplib", "../precheck.ts", "../cli/main.ts"],
		["node:fs", "../snapshot/snapshot.ts", "../http/server.ts", "../log/logger.ts"],
	],
	[
		"src/http/x.ts",
		["axios", "amqplib", "../agent/routes.ts", "../compat/device.ts"],
		["node:http", "../log/logger.ts", "../traceparent.ts"],
	],
	[
		"src/agent/collectors/x.ts",
		["../../precheck.ts", "../../messaging/target.ts"],
		["../sysfs.ts", "../../snapshot/snapshot.ts"],
	],
	[
		"src/nova/x.ts",
		["amqplib", "../agent/scan.ts", "../cli/serve/serve.ts"],
		["../precheck.ts", "../messaging/errors.ts", "../compat/decide.ts", "../traceparent.ts"],
	],
	[
		"src/journal/x.ts",
		["../nova/methods.ts", "../messaging/target.ts", "../snapshot/agents.ts"],
		["../zod.ts", "../precheck.ts", "../snapshot/snapshot.ts"],
	],
	["src/recording/x.ts", ["../nova/methods.ts", "../compat/decide.ts"], ["../zod.ts", "../messaging/message.ts"]],
	[
		"src/precheck.ts",
		["./messaging/target.ts", "./nova/objects.ts", "./config.ts"],
		["./compat/decide.ts", "./snapshot/source.ts"],
	],
	["src/placement.ts", ["./messaging/target.ts", "./nova/objects.ts"], ["./attempt.ts", "./compat/decide.ts"]],
	["src/ranking.ts", ["./messaging/target.ts", "./journal/journal.ts"], ["./precheck.ts", "./departure.ts"]],
	[
		"src/config.ts",
		["./cli/main.ts", "./precheck.ts", "./snapshot/agents.ts"],
		[
			"./snapshot/agent-options.ts",
			"./messaging/rabbit/transport-url.ts",
			"./http/listen.ts",
			"./nova-conf.ts",
			"./yaml.ts",
		],
	],
	["src/nova-conf.ts", ["amqplib", "./config.ts", "./nova/methods.ts"], ["./oslo-config.ts", "./yaml.ts"]],
	["src/log/x.ts", ["../cli/main.ts", "../precheck.ts"], ["../traceparent.ts", "./strftime.ts", "node:os"]],
	["src/cli/x.ts", ["amqplib", "axios"], ["../config.ts", "../nova/methods.ts", "./serve/serve.ts"]],
	["src/cli/serve/x.ts", ["amqplib", "axios"], ["../../config.ts", "../render/html.ts", "../exit-codes.ts"]],
	["src/cli/render/x.ts", ["axios", "../output.ts", "../serve/state.ts"], ["../../compat/matrix.ts", "./table.ts"]],
];

test("an import against the direction of dependency is a lint error, and only such an import", () => {
	const config = JSON.parse(readFileSync(`${REPOSITORY}biome.json`, "utf8"));
	delete config.$schema;
	delete config.vcs;
	writeFileSync(join(directory, "biome.json"), JSON.stringify(config));
	cpSync(`${REPOSITORY}src`, join(directory, "src"), { recursive: true });
	for (const [file, forbidden, allowed] of LAYERS) {
		const text = [...forbidden, ...allowed].map((name) => `import ${JSON.stringify(name)};\n`).join("");
		mkdirSync(dirname(join(directory, file)), { recursive: true });
		writeFileSync(join(directory, file), text);
	}
	const lint = [
		"lint",
		"--only=style/noRestrictedImports",
		"--reporter=json",
		"--max-diagnostics=none",
		...LAYERS.map(([file]) => file),
	];
	const { stdout } = spawnSync(`${REPOSITORY}node_modules/.bin/biome`, lint, { cwd: directory, encoding: "utf8" });
	const { diagnostics } = JSON.parse(stdout) as {
		diagnostics: { location: { path: string; start: { line: number } } }[];
	};
	const found = diagnostics.map(({ location }) => `${location.path}:${location.start.line}`).sort();
	const expected = LAYERS.flatMap(([file, forbidden]) =>
		forbidden.map((_name, index) => `${file}:${index + 1}`),
	).sort();
	expect(found).toEqual(expected);
});

test("SEC-26: outgoing HTTP is in one file", () => {
	const WAYS =
		/from "(axios|undici|node:http2)"|globalThis\.fetch|(await|return|=>?) fetch\(|\bimport .*\b(request|get)\b.* from "node:https?"|(?<![.\w])https?\.(request|get)\(/;
	const files = readdirSync(`${REPOSITORY}src`, { recursive: true, encoding: "utf8" }).filter((name) =>
		name.endsWith(".ts"),
	);
	const users = files.filter((file) => WAYS.test(readFileSync(`${REPOSITORY}src/${file}`, "utf8")));
	expect(users).toEqual(["snapshot/agent-http.ts"]);
});

test("SEC-42: zod is what src/zod.ts makes of it, and nothing makes code of text", () => {
	const files = readdirSync(`${REPOSITORY}src`, { recursive: true, encoding: "utf8" }).filter((name) =>
		name.endsWith(".ts"),
	);
	const usersOf = (pattern: RegExp) =>
		files.filter((file) => pattern.test(readFileSync(`${REPOSITORY}src/${file}`, "utf8")));
	expect(usersOf(/from "zod(\/.*)?"/)).toEqual(["zod.ts"]);
	expect(usersOf(/\beval\(|new Function\(|from "(node:)?vm"|\brequire\(/)).toEqual([]);
});
