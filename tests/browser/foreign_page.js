// What a page can have a browser ask of the local stack. Returns what it got to read; nothing, if all is well.
async ({ rest, ws, aws, rpc, rpcWs, order, faults }) => {
  const read = [];
  const form = "application/x-www-form-urlencoded";
  const newUser = "Action=CreateUser&UserName=theirs&Version=2010-05-08";
  const newFunction = {
    FunctionName: "theirs",
    Runtime: "python3.11",
    Handler: "a.b",
    Role: "arn:aws:iam::000000000000:role/theirs",
    Code: { ZipFile: "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==" },
  };
  const signature = "AWS4-HMAC-SHA256 Credential=test/20261129/us-east-1/x/aws4_request, SignedHeaders=host, Signature=0";

  // Without a question before: sent whatever comes back, which the page may not read.
  const blind = (body, type = form) => ({ method: "POST", mode: "no-cors", body, headers: { "Content-Type": type } });
  // With one: the server is asked whether this origin may.
  const open = (body, headers = {}) => ({
    method: "POST",
    body,
    headers: { "Content-Type": "application/json", ...headers },
  });

  async function attempt(name, url, options) {
    try {
      const answer = await fetch(url, options);
      if (answer.type !== "opaque") read.push(`${name}: ${answer.status} ${await answer.text()}`);
    } catch {
      // as it should be
    }
  }

  const connect = (url) =>
    new Promise((done) => {
      const socket = new WebSocket(url);
      socket.onopen = () => {
        read.push(`${url}: open`);
        socket.close();
        done();
      };
      socket.onerror = done;
    });

  const show = (url) =>
    new Promise((done) => {
      const image = new Image();
      image.onload = () => {
        read.push("icon: shown");
        done();
      };
      image.onerror = done;
      image.src = url;
    });

  async function submit(url, fields) {
    const frame = Object.assign(document.createElement("iframe"), { name: `frame${Math.random()}` });
    const sent = { method: "POST", action: url, target: frame.name, enctype: "text/plain" };
    const element = Object.assign(document.createElement("form"), sent);
    for (const [name, value] of Object.entries(fields))
      element.append(Object.assign(document.createElement("input"), { name, value, type: "hidden" }));
    document.body.append(frame, element);
    // A page's own policy may forbid forms: then nothing is loaded.
    await new Promise((done) => {
      frame.onload = done;
      document.addEventListener("securitypolicyviolation", done);
      element.submit();
    });
  }

  for (const host of ["127.0.0.1", "localhost"]) {
    const at = (url) => url.replace("127.0.0.1", host);
    await attempt("order", at(`${rest}/orders/execute`), blind(order));
    await attempt("order as text", at(`${rest}/orders/execute`), blind(order, "text/plain"));
    await attempt("order as JSON", at(`${rest}/orders/execute`), open(order));
    await attempt("orders", at(`${rest}/orders`), {});
    await attempt("secrets", at(aws), open("{}", { "X-Amz-Target": "secretsmanager.ListSecrets", Authorization: signature }));
    await attempt("function", at(`${aws}/2015-03-31/functions`), blind(JSON.stringify(newFunction), "text/plain"));
    await attempt("user", at(aws), blind(newUser));
    await attempt("user by GET", at(`${aws}/?${newUser}`), { mode: "no-cors" });
    await attempt("health", at(`${aws}/_ministack/health`), {});
    await attempt("faults", at(rpc), blind(faults));
    await attempt("faults on the second port", at(rpcWs.replace("ws:", "http:")), blind(faults));
    await attempt("chain", at(rpc), open(faults));
    for (const url of [ws, rpcWs, rpc.replace("http:", "ws:")]) await connect(at(url));
    await show(at(`${rest}/assets/icon.svg`));
    await submit(at(`${rest}/orders/execute`), { [`${order.slice(0, -1)}, "note": "`]: '"}' });
    await submit(at(aws), { Action: "CreateUser", UserName: "theirs", Version: "2010-05-08" });
    await attempt("reset", at(`${aws}/_ministack/reset`), { method: "POST", mode: "no-cors" });
  }
  return read;
};
