import { hostname } from "node:os";
import { dirname, resolve } from "node:path";
import { z } from "zod";
import { InvalidTransportUrl } from "./messaging/errors.ts";
import { parseTransportUrl } from "./messaging/transport-url.ts";
import { readYaml } from "./yaml.ts";

const HostName = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9])?$/, "expected a Nova host name");

const AgentUrl = z.string().transform((text, context) => {
	const url = URL.canParse(text) ? new URL(text) : undefined;
	if (url && /^https?:$/.test(url.protocol) && url.pathname === "/" && !url.search && !url.username) return url;
	context.addIssue(`got ${JSON.stringify(text)}, expected http://host:port or https://host:port`);
	return z.NEVER;
});

const TransportUrlText = z.string().transform((text, context) => {
	try {
		return parseTransportUrl(text);
	} catch (error) {
		if (!(error instanceof InvalidTransportUrl)) throw error;
		context.addIssue(error.message);
		return z.NEVER;
	}
});

/** The configuration file of `novacompat serve`; config/README.md describes every option. Names are a contract. */
export const Config = z.strictObject({
	transport_url: TransportUrlText,
	control_exchange: z.string().min(1).default("nova"),
	host: HostName.default(hostname),
	agents: z.record(HostName, AgentUrl).default({}),
	agent_timeout: z.number().positive().max(60).default(7),
	snapshot_max_age: z.number().min(0).max(60).default(2),
	max_check_time: z.number().positive().max(60).default(15),
	executor_thread_pool_size: z.int().min(1).max(4096).default(64),
	stand_in_hosts: z.array(HostName).default([]),
	policy_file: z.string().min(1).optional(),
	debug: z.boolean().default(false),
});
export type Config = z.infer<typeof Config>;

/** Reads a configuration file; throws ConfigError with file:line:column. Paths in it are relative to the file. */
export function readConfig(file: string): Config {
	const config = readYaml(file, Config);
	const { policy_file } = config;
	return policy_file === undefined ? config : { ...config, policy_file: resolve(dirname(file), policy_file) };
}
