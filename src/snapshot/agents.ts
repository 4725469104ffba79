import { AgentConnections } from "./agent-connections.ts";
import { AgentHttp } from "./agent-http.ts";
import { lookupWithin } from "./agent-networks.ts";
import { type AgentOptions, directoryOf, insecureAgents } from "./agent-options.ts";
import { AgentSource } from "./agent-source.ts";
import { type TlsFiles, TlsMaterial } from "./agent-tls.ts";
import { SnapshotCache } from "./cache.ts";
import type { Log } from "./log.ts";
import { Outage, type OutageState } from "./outage.ts";
import { type HostState, NO_WITNESS, type SnapshotSource, type SnapshotWitness } from "./source.ts";

/** Snapshots from agents, and how it stands with them. */
export interface AgentSnapshots extends SnapshotSource {
	/** Reads certificates, and returns what takes them into use. Throws InvalidTlsFiles; nothing has changed then. */
	prepareTls(files: TlsFiles): () => void;
	/** Every host that is known, by name. */
	hosts(): readonly HostState[];
	/** Numbers, without a host. */
	state(): AgentsState;
}

/** How many agents were asked of late, how many snapshots are known, in how many bytes, and how many are being fetched. */
interface AgentsState extends OutageState, ReturnType<SnapshotCache["state"]> {
	/** Agents that nobody asks now: several failures, or one just now. */
	readonly breakers: { readonly open: number; readonly quiet: number };
}

/** Snapshots from agents as the options say. Throws InvalidTlsFiles; the log is told what an operator should know. */
export function createSnapshots(
	options: AgentOptions,
	log: Log,
	witness: SnapshotWitness = NO_WITNESS,
): AgentSnapshots {
	const warn = (text: string) => log.warning(text);
	const insecure = insecureAgents(options);
	if (insecure.length > 0) {
		const names = insecure.length > 3 ? `${insecure.slice(0, 3).join(", ")} ...` : insecure.join(", ");
		warn(
			`allow_insecure: ${insecure.length} agents are asked without TLS (${names}): anybody in between can forge what they say`,
		);
	}
	const tls = options.agent_tls && new TlsMaterial(options.agent_tls, warn);
	const http = new AgentHttp(new AgentConnections(lookupWithin(options.agent_networks, warn), tls));
	const agents = new AgentSource({
		http,
		directory: directoryOf(options),
		timeout: options.agent_timeout,
		warn,
		witness,
	});
	const { snapshot_max_age: maxAge, snapshot_stale_after: staleAfter, snapshot_stale_max: staleMax } = options;
	const outage = new Outage(log);
	const times = { maxAge, staleAfter, staleMax };
	const cache = new SnapshotCache(agents, times, witness, (...heard) => outage.heard(...heard));
	return {
		fetch: (...question) => cache.fetch(...question),
		prepareTls: (files) => tls?.prepare(files) ?? (() => undefined),
		hosts: () => cache.hosts(),
		state() {
			const states = agents.failing().map(({ state }) => state);
			const count = (which: "open" | "quiet") => states.filter((state) => state === which).length;
			return { ...cache.state(), ...outage.state(), breakers: { open: count("open"), quiet: count("quiet") } };
		},
	};
}
