import { readFileSync } from "node:fs";
import type { TestBroker } from "./rabbitmq.ts";

const GUIDE = `${import.meta.dirname}/../../config/README.md`;
/** Where the service stands in for computes, their queues are its own. */
const OWN = "migration_compat";
const OWN_AND_COMPUTES = "(migration_compat|compute|compute-alt)";

/** Lets a user do in a virtual host what the guide's very lines let the service do, which stands in for computes here. */
export async function allowService(broker: TestBroker, user: string, vhost: string): Promise<void> {
	const lines = readFileSync(GUIDE, "utf8").matchAll(
		/^ {4}rabbitmqctl (set_(?:topic_)?permissions) -p api novacompat (.*)$/gm,
	);
	for (const [, command = "", words = ""] of lines) {
		const patterns = words.split(" ").map((word) => word.replace(/^'(.*)'$/, "$1").replaceAll(OWN, OWN_AND_COMPUTES));
		await broker.ctl(command, "-p", vhost, user, ...patterns);
	}
}
