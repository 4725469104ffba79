import { AgentConnections } from "./agent-connections.ts";
import { AgentHttp } from "./agent-http.ts";
import { lookupWithin } from "./agent-networks.ts";
import { type AgentOptions, directoryOf, insecureAgents } from "./agent-options.ts";
import { AgentSource } from "./agent-source.ts";
import { TlsMaterial } from "./agent-tls.ts";
import { SnapshotCache } from "./cache.ts";
import { NO_WITNESS, type SnapshotWitness } from "./source.ts";

/** Snapshots from agents as the options say. Throws InvalidTlsFiles; `warn` is told what an operator should know. */
export function createSnapshots(
	options: AgentOptions,
	warn: (text: string) => void,
	witness: SnapshotWitness = NO_WITNESS,
): SnapshotCache {
	const insecure = insecureAgents(options);
	if (insecure.length > 0) {
		const names = insecure.length > 3 ? `${insecure.slice(0, 3).join(", ")} ...` : insecure.join(", ");
		warn(
			`allow_insecure: ${insecure.length} agents are asked without TLS (${names}): anybody in between can forge what they say`,
		);
	}
	const tls = options.agent_tls && new TlsMaterial(options.agent_tls, warn);
	const http = new AgentHttp(new AgentConnections(lookupWithin(options.agent_networks), tls));
	const agents = new AgentSource({
		http,
		directory: directoryOf(options),
		timeout: options.agent_timeout,
		warn,
		witness,
	});
	const { snapshot_max_age: maxAge, snapshot_stale_after: staleAfter, snapshot_stale_max: staleMax } = options;
	return new SnapshotCache(agents, { maxAge, staleAfter, staleMax }, witness);
}
