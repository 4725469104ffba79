import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Config } from "../../config.ts";
import { rabbitOptions } from "../../messaging/rabbit/options.ts";
import { certificatesIn, validityProblemOfAll } from "../../snapshot/validity.ts";
import { busesOf } from "./broker-tls.ts";
import type { Finding } from "./lint.ts";

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

/**
 * Certificates and authorities that can be read, and that nobody accepts at that time (milliseconds since 1970). It is no reason not to
 * start: the clock may be wrong, and a renewed one is taken without a restart.
 */
export function invalidCertificates(config: Config, now: number): readonly Finding[] {
	const { agent_tls } = config;
	const ofAgents = agent_tls
		? [
				{ path: ["agent_tls"], option: "agent_tls.ca", file: agent_tls.ca, isBundle: true },
				{ path: ["agent_tls"], option: "agent_tls.cert", file: agent_tls.cert, isBundle: false },
			]
		: [];
	const ofBuses = busesOf(config).flatMap(({ path, url, section }) => {
		const { ssl, ssl_ca_file, ssl_cert_file } = rabbitOptions(section, url.query);
		if (!ssl) return [];
		return [
			{ path, option: "ssl_ca_file", file: ssl_ca_file, isBundle: true },
			{ path, option: "ssl_cert_file", file: ssl_cert_file, isBundle: false },
		];
	});
	return [...ofAgents, ...ofBuses].flatMap(({ path, option, file, isBundle }) => {
		if (file === undefined) return [];
		const certificates = certificatesIn(textOf(file)).slice(0, isBundle ? undefined : 1);
		const problem = validityProblemOfAll(certificates, now);
		return problem === undefined ? [] : [{ path, message: `${option}: ${file} ${problem}` }];
	});
}

/** Nothing when it cannot be read, of which others tell. */
function textOf(file: string): string {
	try {
		return readFileSync(file, "latin1");
	} catch {
		return "";
	}
}
