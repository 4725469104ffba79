import type { Duplex } from "node:stream";
import type { ChannelModel } from "./rabbit.ts";

/** What is sent in one turn leaves in one write: amqplib makes a system call for each frame. */
export function coalesceWrites({ connection }: ChannelModel): void {
	// The socket is a public field, which the types leave out.
	const { stream } = connection as unknown as { readonly stream: Duplex };
	const write = stream.write.bind(stream);
	stream.write = (frame: unknown) => {
		if (stream.writableCorked === 0) {
			stream.cork();
			process.nextTick(() => stream.uncork());
		}
		return write(frame);
	};
}
