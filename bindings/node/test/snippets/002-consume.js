const { Client } = require("plasmite");
(async () => {
  const c = new Client();
  let pool;
  try {
    pool = c.openPool("work");
    for await (const msg of pool.tail({ timeoutMs: 5000, maxMessages: 1 })) {
      console.log(msg.seq, msg.tags, msg.data);
    }
  } finally {
    if (pool) pool.close();
    c.close();
  }
})();
