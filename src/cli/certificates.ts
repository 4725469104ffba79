import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Config } from "../config.ts";
import { rabbitOptions } from "../messaging/rabbit-options.ts";
import { busesOf } from "./broker-tls.ts";

/** Whom the service shows a certificate to. */
type Peer = "agents" | "broker";

/**
 * When the service's own certificates end, in seconds since 1970: of several for brokers the one that ends first. One that cannot be
 * read is left out: the log tells of it.
 */
export function certificateEnds(config: Config): Readonly<Partial<Record<Peer, number>>> {
	const ofBuses = busesOf(config).flatMap(({ url, section }) => {
		const { ssl, ssl_cert_file } = rabbitOptions(section, url.query);
		return ssl && ssl_cert_file !== undefined ? [ssl_cert_file] : [];
	});
	const files: Record<Peer, readonly string[]> = {
		agents: config.agent_tls ? [config.agent_tls.cert] : [],
		broker: ofBuses,
	};
	const ends = Object.entries(files).map(
		([peer, paths]) => [peer, paths.flatMap(endOf).sort((a, b) => a - b)[0]] as const,
	);
	return Object.fromEntries(ends.filter(([, end]) => end !== undefined));
}

function endOf(file: string): readonly number[] {
	try {
		return [new Date(new X509Certificate(readFileSync(file)).validTo).getTime() / 1000];
	} catch {
		return [];
	}
}
