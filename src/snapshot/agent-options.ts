import { isIP } from "node:net";
import { z } from "../zod.ts";
import { type AgentDirectory, parseUrlTemplate } from "./agent-address.ts";
import { addressCheck } from "./agent-networks.ts";
import { HOST_NAME, HOST_NAME_FORM, USUAL_STALE_AFTER_S } from "./limits.ts";

export const HostName = z.string().regex(HOST_NAME, `expected ${HOST_NAME_FORM}`);

const AgentUrl = z.string().transform((text, context) => {
	const url = URL.canParse(text) ? new URL(text) : undefined;
	if (url && /^https?:$/.test(url.protocol) && url.pathname === "/" && !url.search && !url.username) return url;
	context.addIssue(`${found(text)}, expected https://host:port or http://host:port`);
	return z.NEVER;
});

const AgentUrlTemplate = z.string().transform((text, context) => {
	const template = parseUrlTemplate(text);
	if (template) return template;
	context.addIssue(`${found(text)}, expected https://{host}.domain:port with {host} once in the host name`);
	return z.NEVER;
});

/** What is before an "@" may be a password. */
function found(text: string): string {
	return text.includes("@") ? 'has "@"' : `got ${JSON.stringify(text)}`;
}

const Network = z.union([z.cidrv4(), z.cidrv6()], "expected a network such as 192.0.2.0/24");
/** Whoever writes a key itself in its place shall not find it in a log. */
const Path = z
	.string()
	.min(1)
	.refine((path) => !path.includes("\n"), "expected the path of a file");
const Pattern = z.string().regex(/^[A-Za-z0-9_.*-]{1,255}$/, "expected a Nova host name, in which * is any text");

/** How agents are found, trusted and asked; the options of the configuration by name. */
export const AgentOptions = z.object({
	agents: z.record(HostName, AgentUrl).default({}),
	agent_url_template: AgentUrlTemplate.optional(),
	agent_hosts: z.array(Pattern).default([]),
	agent_networks: z.array(Network).default([]),
	agent_tls: z.strictObject({ ca: Path, cert: Path, key: Path }).optional(),
	allow_insecure: z.boolean().default(false),
	agent_timeout: z.number().positive().max(60).default(7),
	snapshot_max_age: z.number().min(0).max(60).default(2),
	snapshot_stale_after: z.number().positive().max(3600).default(USUAL_STALE_AFTER_S),
	snapshot_stale_max: z.number().min(0).max(86_400).default(300),
});
export type AgentOptions = z.infer<typeof AgentOptions>;

/** Adds an issue for each option that contradicts another one. */
export function checkAgentOptions(options: AgentOptions, context: z.RefinementCtx): void {
	const { agents, agent_url_template, agent_hosts, agent_networks, agent_tls, allow_insecure } = options;
	const issue = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
	if ((agent_url_template === undefined) !== (agent_hosts.length === 0)) {
		issue(["agent_hosts"], "expected agent_url_template together with agent_hosts, the hosts that it is for");
	}
	const permits = addressCheck(agent_networks);
	for (const [host, { hostname }] of Object.entries(agents)) {
		const address = hostname.replace(/^\[(.*)\]$/, "$1");
		// An address is never looked up, which is when those of names are checked.
		if (agent_networks.length === 0 || isIP(address) === 0 || permits(address)) continue;
		issue(["agents", host], `${address} is outside of agent_networks, expected one in ${agent_networks.join(", ")}`);
	}
	const template = agent_url_template ? [[["agent_url_template"], agent_url_template.base] as const] : [];
	const urls = [...Object.entries(agents).map(([host, url]) => [["agents", host], url] as const), ...template];
	for (const [path, url] of urls) {
		if (url.protocol === "https:" && agent_tls === undefined) {
			issue([...path], "https needs agent_tls with ca, cert and key");
		}
		if (isInsecure(url) && !allow_insecure) {
			issue([...path], `${url.protocol}// is only for loopback addresses; expected https://, or allow_insecure: true`);
		}
	}
}

/** Which agents are asked without encryption, for a warning. */
export function insecureAgents({ agents, agent_url_template }: AgentOptions): readonly string[] {
	const named = Object.entries(agents).flatMap(([host, url]) => (isInsecure(url) ? [host] : []));
	return agent_url_template && isInsecure(agent_url_template.base) ? [...named, agent_url_template.hostname] : named;
}

function isInsecure({ protocol, hostname }: URL): boolean {
	const isLoopback = (isIP(hostname) === 4 && hostname.startsWith("127.")) || hostname === "[::1]";
	return protocol === "http:" && !isLoopback;
}

export function directoryOf({ agents, agent_url_template, agent_hosts }: AgentOptions): AgentDirectory {
	return { agents: new Map(Object.entries(agents)), template: agent_url_template, hosts: agent_hosts };
}
