import { describe, expect, test } from "vitest";
import { type AgentDirectory, agentUrl, parseUrlTemplate } from "../../src/snapshot/agent-address.ts";

const directory = (template: string | undefined, hosts: readonly string[] = ["*"]): AgentDirectory => ({
	agents: new Map([["cmp-01", new URL("https://192.0.2.11:9301")]]),
	template: template === undefined ? undefined : parseUrlTemplate(template),
	hosts,
});
const urlOf = (host: string, template?: string, hosts?: readonly string[]) =>
	agentUrl(host, directory(template, hosts)).href;

describe("where the agent of a host is", () => {
	/** host, template, agent_hosts, URL */
	const FOUND: readonly (readonly [string, string | undefined, readonly string[] | undefined, string])[] = [
		["cmp-01", undefined, undefined, "https://192.0.2.11:9301/"],
		["cmp-01", "https://{host}.example.org:9301", undefined, "https://192.0.2.11:9301/"],
		["cmp-02", "https://{host}.example.org:9301", undefined, "https://cmp-02.example.org:9301/"],
		["cmp-02", "https://{host}:9301", undefined, "https://cmp-02:9301/"],
		["cmp-02.rack-7.example.org", "https://{host}:9301", undefined, "https://cmp-02.rack-7.example.org:9301/"],
		["CMP_02", "https://agent-{host}.example.org/", ["CMP*"], "https://agent-cmp_02.example.org/"],
		["gpu-07", "https://{host}:9301", ["cmp-*", "gpu-07"], "https://gpu-07:9301/"],
	];
	test.each(FOUND)("%s with %j for %j is at %s", (host, template, hosts, url) => {
		expect(urlOf(host, template, hosts)).toBe(url);
	});

	/** host, agent_hosts, the end of the message */
	const UNKNOWN: readonly (readonly [string, readonly string[] | undefined, RegExp])[] = [
		["gpu-08", ["cmp-*", "gpu-07"], /"gpu-08": it fits nothing in agent_hosts$/],
		["cmp-01 ", ["*"], /expected the name of a host$/],
		["__proto__", ["*"], /expected the name of a host$/],
	];
	test.each(UNKNOWN)("%j with %j is nowhere", (host, hosts, message) => {
		expect(() => urlOf(host, "https://{host}:9301", hosts)).toThrow(message);
	});

	test("without a template, only what is named", () => {
		expect(() => urlOf("cmp-02")).toThrow(/^no agent is configured for host "cmp-02"$/);
	});
});

test.each([
	"https://example.org:9301",
	"https://{host}.{host}:9301",
	"https://u:p@{host}:9301",
	"https://{host}:9301/path",
	"https://{host}:9301?x",
	"https://{host}:99999",
	"https://{host}.example.org.:{port}",
	"https://{host}.7:9301",
	"ftp://{host}:9301",
	"{host}:9301",
	"https://example.org:9301/{host}",
])("%s is no template", (text) => expect(parseUrlTemplate(text)).toBeUndefined());
