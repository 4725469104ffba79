/** A body that is no oslo.messaging message. It is dropped, as Python does, and never requeued. */
export class InvalidMessage extends Error {
	override readonly name = "InvalidMessage";
}

/** No reply within the time of a call (oslo_messaging/exceptions.py). */
export class MessagingTimeout extends Error {
	override readonly name = "MessagingTimeout";
	/** Whether the request was given to the broker: the method may have run, or may run yet. */
	readonly sent: boolean;
	/** Whether the broker has said that it is in the queue of a server. */
	readonly routed: boolean;

	constructor(message: string, { sent, routed }: { readonly sent: boolean; readonly routed: boolean }) {
		super(message);
		this.sent = sent;
		this.routed = routed;
	}
}

/** The transport could not take a message: no connection in time, or the broker refused it. */
export class MessageDeliveryFailure extends Error {
	override readonly name: string = "MessageDeliveryFailure";
}

/** The broker refuses a message for now: a queue for it is full (`reject-publish`), or a quorum queue without a leader. */
export class MessageRefused extends MessageDeliveryFailure {
	override readonly name = "MessageRefused";
}

/** The broker takes no message that large (`max_message_size`). */
export class MessageTooLarge extends MessageDeliveryFailure {
	override readonly name = "MessageTooLarge";
}

/** The broker has the message and no queue for it: nothing listens there (oslo_messaging/exceptions.py). */
export class MessageUndeliverable extends MessageDeliveryFailure {
	override readonly name = "MessageUndeliverable";
}

/** A target that does not fit what is asked of it (oslo_messaging/exceptions.py). */
export class InvalidTarget extends Error {
	override readonly name = "InvalidTarget";
}

/** A message newer than the servers may be; not sent (oslo_messaging/rpc/client.py). */
export class RPCVersionCapError extends Error {
	override readonly name = "RPCVersionCapError";

	constructor(version: string, versionCap: string) {
		super(
			`Requested message version, ${version} is incompatible. It needs to be equal in major version and less than or equal in minor version as the specified version cap ${versionCap}.`,
		);
	}
}

/** A transport_url that cannot be used, or an option in its query; names the part and what was expected. */
export class InvalidTransportUrl extends Error {
	override readonly name = "InvalidTransportUrl";
}

/** Options of `[oslo_messaging_rabbit]` that cannot be used, alone or together; names them and what was expected. */
export class InvalidRabbitOptions extends Error {
	override readonly name = "InvalidRabbitOptions";
}

/** What else a failure says, for whoever wants to build the exception again. */
export interface FailureDetails {
	readonly args: readonly unknown[];
	readonly kwargs: Readonly<Record<string, unknown>>;
	/** Lines of the traceback, as Python formats it; what a peer shows of its inside. */
	readonly traceback: readonly string[];
}

/** What the other side raised: class and module are Python names (oslo_messaging/rpc/client.py). */
export class RemoteError extends Error implements FailureDetails {
	override readonly name = "RemoteError";
	readonly excType: string;
	readonly module: string;
	readonly value: string;
	readonly args: readonly unknown[];
	readonly kwargs: Readonly<Record<string, unknown>>;
	readonly traceback: readonly string[];

	constructor(excType: string, module: string, value: string, details: Partial<FailureDetails> = {}) {
		super(`${module}.${excType}: ${value}`);
		this.excType = excType;
		this.module = module;
		this.value = value;
		this.args = details.args ?? [];
		this.kwargs = details.kwargs ?? {};
		this.traceback = details.traceback ?? [];
	}
}

/**
 * What a method throws to make a Python caller see a certain exception. A Nova client rebuilds the class only for the
 * modules `builtins` and `nova.exception`; it makes a RemoteError of any other.
 */
export class RpcFailure extends Error {
	override readonly name = "RpcFailure";
	readonly excClass: string;
	readonly module: string;
	readonly args: readonly unknown[];
	readonly kwargs: Readonly<Record<string, unknown>>;

	constructor(
		excClass: string,
		module: string,
		message: string,
		args: readonly unknown[] = [message],
		kwargs: Readonly<Record<string, unknown>> = {},
	) {
		super(message);
		this.excClass = excClass;
		this.module = module;
		this.args = args;
		this.kwargs = kwargs;
	}
}

const DISPATCHER = "oslo_messaging.rpc.dispatcher";

/** Mirrors oslo_messaging/rpc/dispatcher.py; health probes look for these texts. */
export function noSuchMethod(method: string): RpcFailure {
	return new RpcFailure("NoSuchMethod", DISPATCHER, `Endpoint does not support RPC method ${method}`);
}

export function unsupportedVersion(version: string, method: string): RpcFailure {
	const message = `Endpoint does not support RPC version ${version}. Attempted method: ${method}`;
	return new RpcFailure("UnsupportedVersion", DISPATCHER, message);
}

export function typeError(message: string): RpcFailure {
	return new RpcFailure("TypeError", "builtins", message);
}

export function valueError(message: string): RpcFailure {
	return new RpcFailure("ValueError", "builtins", message);
}
