import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readAgentOptions } from "../src/cli/agent/options.ts";
import { configFiles } from "../src/cli/config/files.ts";
import { readConfig } from "../src/config.ts";
import { novacompat } from "./support/cli.ts";
import { temporaryDirectory } from "./support/temporary.ts";

const directory = temporaryDirectory(afterAll);
const at = (name: string) => join(directory, name);

const FILES = {
	"base.yaml":
		"transport_url: memory://\nmax_check_time: 10\nagents: { cmp-01: 'https://192.0.2.1' }\njournal: { max_files: 3 }\n",
	"last.yaml": "max_check_time: 12\n",
	"conf.d/10-rack.yaml":
		"agents: { cmp-02: 'https://192.0.2.2' }\nagent_hosts: [a]\nagent_url_template: 'https://{host}:1'\n",
	"conf.d/20-journal.yaml": "journal: { directory: here }\nagent_hosts: [b]\npolicy_file: policy.yaml\n",
	"conf.d/30-agents.yaml": "agent_tls: { ca: ca.pem, cert: c.pem, key: k.pem }\n",
	"conf.d/.hidden.yaml": "no: 1\n",
	"conf.d/readme.txt": "no",
	"agent/10.yaml": "host: cmp-01\ntls_cert: cert.pem\n",
	"agent/20.yaml": "host: cmp-02\n",
	"bad/10.yaml": "max_check_time: 10\n",
	"bad/20.yaml": "debug: true\njournal:\n  max_files: 1\n  size: 3\n",
};
beforeAll(() => {
	for (const [name, text] of Object.entries(FILES)) {
		mkdirSync(join(at(name), ".."), { recursive: true });
		writeFileSync(at(name), text, { mode: 0o600 });
	}
});

test("files are those that are named, then those of directories by name", () => {
	const named = { configFile: [at("last.yaml"), at("base.yaml")], configDir: [at("conf.d")] };
	expect(configFiles(named).map((file) => file.slice(directory.length + 1))).toEqual([
		"last.yaml",
		"base.yaml",
		"conf.d/10-rack.yaml",
		"conf.d/20-journal.yaml",
		"conf.d/30-agents.yaml",
	]);
	expect(() => configFiles({ configDir: [at("nowhere")] })).toThrow(/nowhere: ENOENT/);
});

describe("of several files", () => {
	const read = (...names: readonly string[]) =>
		readConfig(configFiles({ configFile: names.map(at), configDir: [at("conf.d")] }));

	test("the last one wins, option by option; mappings are put together, lists are not", () => {
		expect(read("base.yaml", "last.yaml")).toMatchObject({
			max_check_time: 12,
			agent_hosts: ["b"],
			journal: { max_files: 3 },
		});
		expect(Object.keys(read("base.yaml").agents)).toEqual(["cmp-01", "cmp-02"]);
		expect(read("last.yaml", "base.yaml").max_check_time).toBe(10);
	});

	test("paths are relative to the file that has them", () => {
		expect(read("base.yaml")).toMatchObject({
			journal: { directory: at("conf.d/here") },
			policy_file: at("conf.d/policy.yaml"),
			agent_tls: { ca: at("conf.d/ca.pem"), cert: at("conf.d/c.pem"), key: at("conf.d/k.pem") },
		});
	});

	test("a mistake is told where it is", () => {
		const { status, stderr } = novacompat("config", "check", at("base.yaml"), "--config-dir", at("bad"));
		expect(status).toBe(78);
		expect(stderr).toContain(`${at("bad/20.yaml")}:3:14: journal.max_files: `);
		expect(stderr).toContain(`${at("bad/20.yaml")}:4:3: unknown option "size"`);
	});

	test("what is in none of them is told of the first", () => {
		expect(() => readConfig([at("last.yaml"), at("bad/10.yaml")])).toThrow(`${at("last.yaml")}:1:1: transport_url: `);
	});

	test("those of an agent too", () => {
		const options = readAgentOptions(["--config-dir", at("agent"), "--debug"]);
		expect(options).toMatchObject({ host: "cmp-02", tls_cert: at("agent/cert.pem"), debug: true });
		const words = ["--config-file", at("agent/20.yaml"), "--config-file", at("agent/10.yaml")];
		expect(readAgentOptions(words)).toMatchObject({ host: "cmp-01" });
	});
});

test.each([[["serve"]], [["config", "check"]]])("%j without any", (words) => {
	const { status, stderr } = novacompat(...words);
	expect(status).toBe(64);
	expect(stderr).toMatch(/which configuration\? expected .*--config-dir/);
});
