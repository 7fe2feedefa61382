/** An unbounded queue for one reader; its owner stops pushing when `length` is too large. */
export function createEventQueue() {
    const values = [];
    let ended;
    let wake;
    const changed = () => {
        wake?.();
        wake = undefined;
    };
    return {
        get length() {
            return values.length;
        },
        push(value) {
            if (ended !== undefined)
                return;
            values.push(value);
            changed();
        },
        end(error) {
            ended ??= { error };
            changed();
        },
        async *[Symbol.asyncIterator]() {
            for (;;) {
                for (let value = values.shift(); value !== undefined; value = values.shift())
                    yield value;
                if (ended !== undefined) {
                    if (ended.error !== undefined)
                        throw ended.error;
                    return;
                }
                await new Promise((resolve) => (wake = resolve));
            }
        },
    };
}
