import type { Config } from "../../config.ts";
import { isLoopback } from "../../http/listen.ts";
import { type RabbitOptions, rabbitOptions } from "../../messaging/rabbit/options.ts";
import type { TransportUrl } from "../../messaging/rabbit/transport-url.ts";
import { insecureAgents } from "../../snapshot/agent-options.ts";
import { busesOf } from "./broker-tls.ts";

type Path = readonly PropertyKey[];

/** Something in a configuration that is allowed and hardly meant, or known to be unsafe. */
export interface Finding {
	readonly path: Path;
	readonly message: string;
}

type Check = (config: Config) => readonly Finding[];

/** One for each subject. */
const CHECKS: readonly Check[] = [
	weakBuses,
	standIns,
	recording,
	insecure,
	unfindableAgents,
	sharedAgents,
	openTemplate,
	unusedTls,
	times,
];

/** What is odd or unsafe about a configuration that can be used, each with its path in it. */
export function lintConfig(config: Config): readonly Finding[] {
	return CHECKS.flatMap((check) => check(config));
}

function weakBuses(config: Config): readonly Finding[] {
	return busesOf(config).flatMap(({ path, url, section }) => weakBus(path, url, section));
}

function weakBus(path: Path, { driver, hosts, query }: TransportUrl, section: Config["oslo_messaging_rabbit"]) {
	if (driver === "memory") return [{ path, message: "memory:// is a bus inside the process: nobody can ask" }];
	const options = rabbitOptions(section, query);
	const guests = hosts.filter(({ username, password, hostname }) => {
		return username === "guest" && password === "guest" && !isLoopback(hostname);
	});
	return [
		...guests.map(({ hostname }) => ({
			path,
			message: `${hostname} is asked as guest, whose password everybody knows`,
		})),
		...standInBrokers(options).map((message) => ({ path, message })),
	];
}

function standInBrokers(options: RabbitOptions): readonly string[] {
	const { ssl, ssl_verify, ssl_enforce_hostname_verification, ssl_ca_file } = options;
	if (!ssl) return [];
	if (!ssl_verify) return ["ssl_verify is false: whoever answers gets the password"];
	if (ssl_enforce_hostname_verification) return [];
	const authority = ssl_ca_file ?? "any authority that Node.js knows";
	return [`ssl_enforce_hostname_verification is false: who has a certificate of ${authority} gets the password`];
}

function standIns({ stand_in_hosts, transport_url }: Config): readonly Finding[] {
	if (stand_in_hosts.length === 0 || transport_url?.driver === "memory") return [];
	const message = "is for harnesses: messages of a real nova-compute of that name would be taken away from it";
	return [{ path: ["stand_in_hosts"], message: `stand_in_hosts ${message}` }];
}

function recording({ recording }: Config): readonly Finding[] {
	if (!recording) return [];
	return [
		{ path: ["recording"], message: "recording is for harnesses; what decisions were made of is in the journal" },
	];
}

function insecure(config: Config): readonly Finding[] {
	if (!config.allow_insecure) return [];
	const path = ["allow_insecure"];
	const hosts = insecureAgents(config);
	if (hosts.length === 0) return [{ path, message: "allow_insecure is not needed: every agent is https or loopback" }];
	const forged = `${hosts.join(", ")}: whoever can reach the network can forge snapshots, and so accept any migration`;
	return [{ path, message: `allow_insecure is in use for ${forged}` }];
}

function unfindableAgents({ agents, agent_url_template }: Config): readonly Finding[] {
	if (Object.keys(agents).length > 0 || agent_url_template) return [];
	return [{ path: ["agents"], message: "neither agents nor agent_url_template: every check is agent.unconfigured" }];
}

function sharedAgents({ agents }: Config): readonly Finding[] {
	const named = Object.entries(agents);
	return named.flatMap(([host, { href }], index) => {
		const [first] = named.slice(0, index).find(([, other]) => other.href === href) ?? [];
		if (first === undefined) return [];
		const message = `${href} is the agent of ${first} too: for one of them it is agent.identity`;
		return [{ path: ["agents", host], message }];
	});
}

/** A name in a message may then make the service ask whatever a name server says. */
function openTemplate({ agent_url_template, agent_hosts, agent_networks }: Config): readonly Finding[] {
	const open = agent_hosts.indexOf("*");
	if (!agent_url_template || open < 0 || agent_networks.length > 0) return [];
	const message =
		"agent_hosts * without agent_networks: any name in a message is looked up and asked, wherever it leads";
	return [{ path: ["agent_hosts", open], message }];
}

function unusedTls({ agents, agent_url_template, agent_tls }: Config): readonly Finding[] {
	const urls = [...Object.values(agents), ...(agent_url_template ? [agent_url_template.base] : [])];
	if (!agent_tls || urls.some(({ protocol }) => protocol === "https:")) return [];
	return [{ path: ["agent_tls"], message: "agent_tls is not used: no agent is https" }];
}

function times(config: Config): readonly Finding[] {
	const { agent_timeout, max_check_time, snapshot_max_age, snapshot_stale_after } = config;
	const older = `snapshot_max_age is more than snapshot_stale_after (${snapshot_stale_after} s)`;
	return [
		...(agent_timeout >= max_check_time
			? [{ path: ["agent_timeout"], message: `agent_timeout leaves no time of max_check_time (${max_check_time} s)` }]
			: []),
		...(snapshot_max_age > snapshot_stale_after
			? [{ path: ["snapshot_max_age"], message: `${older}, beyond which the agent is asked again in any case` }]
			: []),
	];
}
