import { PASSWORD, type TestBroker } from "./rabbitmq.ts";

/** The user that suffices for the tap, as config/README.md has it: configure, write, read. */
export const TAP_PERMISSIONS = ["^novacompat\\..*", "^novacompat\\..*", "^(nova|novacompat\\..*)$"] as const;

/** Makes that user, in a virtual host; returns his URL. */
export async function addTapUser(broker: TestBroker, vhost = "/"): Promise<string> {
	const user = "novacompat-tap";
	await broker.addUser(user);
	await broker.ctl("set_permissions", "-p", vhost, user, ...TAP_PERMISSIONS);
	return `rabbit://${user}:${PASSWORD}@${broker.address}:${broker.port}/${encodeURIComponent(vhost === "/" ? "" : vhost)}`;
}
