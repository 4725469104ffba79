import type { TransportState } from "../../messaging/transport.ts";
import type { Agreement } from "../../nova/agreement.ts";

/** What a bus is for, and who asked for a check: Nova, or nobody, in the shadow of a cell. */
export type Role = "service" | "shadow";

/** A bus, and how the service stands with its broker. */
export interface Bus {
	readonly role: Role;
	readonly cell?: string;
	readonly state: TransportState;
}

/** As people are told of it. */
export function nameOf({ role, cell }: Pick<Bus, "role" | "cell">): string {
	return cell === undefined ? role : `${role} ${cell}`;
}

/** What became of the decisions in the shadow of a cell. */
export interface ShadowState {
	readonly cell: string;
	readonly agreement: Agreement;
}

/**
 * Why somebody should look at it; undefined when it takes requests, can answer them, and all is as it was set up. A queue with other
 * arguments than ours is used, but whoever made it has another configuration than this service.
 */
export function whyNotReady(buses: readonly Bus[], isStopping: boolean): string | undefined {
	if (isStopping) return "stopping";
	if (buses.length === 0) return "starting";
	const problems = buses.flatMap((bus) => {
		const { connected, consuming, blocked, inequivalent } = bus.state;
		const name = nameOf(bus);
		if (connected === undefined) return [`${name}: no connection to RabbitMQ`];
		if (!consuming) return [`${name}: not all queues are being consumed`];
		if (blocked) return [`${name}: RabbitMQ takes no messages`];
		return inequivalent.length > 0 ? [`${name}: there with other arguments: ${inequivalent.join(", ")}`] : [];
	});
	return problems.length > 0 ? problems.join("; ") : undefined;
}

/** For a state report: names of queues have hosts in them. */
export function reportOf({ inequivalent: _names, ...state }: TransportState): Omit<TransportState, "inequivalent"> {
	return state;
}

/** How it stands with each broker. */
export function detailsOf(buses: readonly Bus[]): string {
	const texts = buses.map((bus) => {
		const { connected, connections, consuming, blocked } = bus.state;
		return `${nameOf(bus)}: connected ${connected ?? "no"}, connections ${connections}, consuming ${consuming}, blocked ${blocked}`;
	});
	return texts.join("; ");
}
