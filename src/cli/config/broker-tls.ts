import { existsSync } from "node:fs";
import type { Config } from "../../config.ts";
import { InvalidRabbitOptions } from "../../messaging/errors.ts";
import { rabbitOptions } from "../../messaging/rabbit/options.ts";
import { checkTlsFiles, tlsFiles } from "../../messaging/rabbit/tls.ts";
import { openKeyMode } from "../../snapshot/agent-tls.ts";
import { ConfigError } from "../../yaml.ts";

type Path = readonly PropertyKey[];

/** Of the service and of each cell in the shadow, with the path of its transport_url. */
export function busesOf({ transport_url, oslo_messaging_rabbit: section, shadow }: Config) {
	const cells = Object.entries(shadow).map(([cell, { transport_url: url, oslo_messaging_rabbit }]) => {
		return { path: ["shadow", cell, "transport_url"], url, section: { ...section, ...oslo_messaging_rabbit } };
	});
	return [...(transport_url ? [{ path: ["transport_url"], url: transport_url, section }] : []), ...cells];
}

/** Paths of all files in PEM with which brokers are asked. */
export function brokerTlsFiles(config: Config): readonly string[] {
	return busesOf(config).flatMap(({ url, section }) => tlsFiles(rabbitOptions(section, url.query)).all);
}

/**
 * That brokers can be asked with what is in these files now, and that nobody else can read the keys. `placeOf` says where a path of the
 * configuration is. Throws ConfigError.
 */
export function checkBrokerTls(config: Config, placeOf: (path: Path) => string = (path) => path.join(".")): void {
	const problems = busesOf(config).flatMap(({ path, url, section }) => {
		const options = rabbitOptions(section, url.query);
		const problem = openKey(tlsFiles(options).key) ?? unusable(() => checkTlsFiles(options));
		return problem === undefined ? [] : [`${placeOf(path)}: ${problem}`];
	});
	if (problems.length > 0) throw new ConfigError(problems.join("\n"));
}

function openKey(file: string | undefined): string | undefined {
	if (file === undefined || !existsSync(file)) return undefined;
	const mode = openKeyMode(file);
	return mode && `ssl_key_file: ${mode}`;
}

function unusable(check: () => void): string | undefined {
	try {
		check();
		return undefined;
	} catch (error) {
		if (error instanceof InvalidRabbitOptions) return error.message;
		throw error;
	}
}
