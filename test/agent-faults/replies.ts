const END_OF_HEAD = "\r\n\r\n";

/** Takes what a server sends over one connection, chunk by chunk, and tells of every whole answer its status. */
export function readReplies(answered: (status: string) => void): (chunk: Buffer) => void {
	let text = "";
	return (chunk) => {
		text += chunk.toString("latin1");
		for (;;) {
			const end = text.indexOf(END_OF_HEAD);
			if (end < 0) return;
			const [, length = "0"] = /content-length: (\d+)/i.exec(text.slice(0, end)) ?? [];
			const whole = end + END_OF_HEAD.length + Number(length);
			if (text.length < whole) return;
			answered(text.slice(9, 12));
			text = text.slice(whole);
		}
	};
}
