import type { ChannelModel } from "./rabbit.ts";
import { socketOf } from "./session.ts";

/** What is sent in one turn leaves in one write: amqplib makes a system call for each frame. */
export function coalesceWrites(connection: ChannelModel): void {
	const stream = socketOf(connection);
	const write = stream.write.bind(stream);
	stream.write = (frame: unknown) => {
		if (stream.writableCorked === 0) {
			stream.cork();
			process.nextTick(() => stream.uncork());
		}
		return write(frame);
	};
}
