import { fits } from "../compat/device-class.ts";
import { HOST_NAME } from "./limits.ts";
import { SnapshotError } from "./source.ts";

/** `https://{host}.example.org:9301`, taken apart. */
export interface UrlTemplate {
	/** The URL with another host name. */
	readonly base: URL;
	/** `{host}.example.org` */
	readonly hostname: string;
}

/** Where the agents are, by the configuration. */
export interface AgentDirectory {
	/** The base URL by Nova host name. */
	readonly agents: ReadonlyMap<string, URL>;
	/** For hosts that `agents` does not have, when they fit one of the patterns in `hosts`. */
	readonly template?: UrlTemplate | undefined;
	readonly hosts: readonly string[];
}

/** undefined when the text is not `http(s)://...{host}...:port`, with `{host}` once in the host name. */
export function parseUrlTemplate(text: string): UrlTemplate | undefined {
	const [, scheme, hostname, port = ""] =
		/^(https?):\/\/((?:[a-z0-9_.-]*)\{host\}(?:[a-z0-9_.-]*))(:\d{1,5})?\/?$/i.exec(text) ?? [];
	const base = `${scheme}://host.invalid${port}/`;
	if (hostname === undefined || !URL.canParse(base)) return undefined;
	const template = { base: new URL(base), hostname };
	return fill(template, "cmp-01") && template;
}

/**
 * The base URL of a host's agent. The name comes from a message: it is a key, and never becomes a part of a URL unless the
 * operator's template is for it. Throws SnapshotError `agent.unconfigured`.
 */
export function agentUrl(host: string, { agents, template, hosts }: AgentDirectory): URL {
	const configured = agents.get(host);
	if (configured) return configured;
	const unconfigured = `no agent is configured for host ${JSON.stringify(host)}`;
	if (template === undefined) throw new SnapshotError("agent.unconfigured", unconfigured);
	if (!isDnsName(host)) throw new SnapshotError("agent.unconfigured", `${unconfigured}: expected the name of a host`);
	const url = hosts.some((pattern) => fits(pattern, host)) ? fill(template, host) : undefined;
	if (url) return url;
	throw new SnapshotError("agent.unconfigured", `${unconfigured}: it fits nothing in agent_hosts`);
}

/** No address in any spelling: URL parsers take `127.1`, `0x7f000001` and whatever else ends in a number for IPv4. */
function isDnsName(host: string): boolean {
	return HOST_NAME.test(host) && !host.includes("..") && !/(^|\.)(\d+|0x[0-9a-f]*)$/i.test(host);
}

/** undefined when the URL parser makes another host of the name than what was meant. */
function fill({ base, hostname }: UrlTemplate, host: string): URL | undefined {
	const meant = hostname.replace("{host}", () => host).toLowerCase();
	const url = new URL(base);
	url.hostname = meant;
	return url.href === base.href.replace("host.invalid", () => meant) && url.hostname === meant ? url : undefined;
}
