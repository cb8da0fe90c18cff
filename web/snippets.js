// The same upload without this page: lines for a shell, and for a page or Node.

export const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Lines for a shell with curl and jq; `withKey`: this server asks for an API key. */
export function curl(origin, name, presign, withKey) {
  const path = name.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
  const key = withKey ? `     -H "Authorization: Bearer $KEY" \\\n` : "";
  const ask = presign.method === "PUT" ? { filename: name, method: "PUT" } : { filename: name };
  const send =
    presign.method === "PUT"
      ? `jq -r '.presign | "url = \\(.url | tojson)", (.headers | to_entries[] | "header = \\("\\(.key): \\(.value)" | tojson)")' upload.json > form.txt
curl -sS -K form.txt -T ${quoted(name.startsWith("-") ? `./${name}` : name)}`
      : `jq -r '.presign | "url = \\(.url | tojson)", (.fields | to_entries[] | "form-string = \\("\\(.key)=\\(.value)" | tojson)")' upload.json > form.txt
curl -sS -K form.txt -F ${quoted(`file=@"${path}"`)}`;
  return `# 1-3: ask for an upload
curl -sS ${origin}/v1/uploads -H 'Content-Type: application/json' \\
${key}     -d ${quoted(JSON.stringify(ask))} > upload.json

# 4: send the file to the store, as the answer says
${send}

# 5: wait for the end, with the upload's own token
curl -sS "${origin}/v1/uploads/$(jq -r .id upload.json)?wait=30" \\
     -H "Authorization: Bearer $(jq -r .token upload.json)" | jq
`;
}

/** Lines of JavaScript; `file` is of an input. */
export function javascript(origin, presign, withKey) {
  const key = withKey ? `\n  // Keep the key on your server: let that make this one call.\n  headers: { "Content-Type": "application/json", Authorization: \`Bearer \${key}\` },` : `\n  headers: { "Content-Type": "application/json" },`;
  const isPut = presign.method === "PUT";
  const send = isPut
    ? `await fetch(presign.url, { method: "PUT", headers: presign.headers, body: file });`
    : `const form = new FormData();
for (const [name, value] of Object.entries(presign.fields)) form.append(name, value);
form.append("file", file); // last
await fetch(presign.url, { method: "POST", body: form });`;
  return `const asked = await fetch("${origin}/v1/uploads", {
  method: "POST",${key}
  body: JSON.stringify({ filename: file.name${isPut ? `, method: "PUT"` : ""} }),
});
const { token, presign, status_url } = await asked.json();

${send}

const answer = await fetch(\`\${status_url}?wait=30\`, { headers: { Authorization: \`Bearer \${token}\` } });
const { status, manifest, error } = await answer.json();
console.log(status, manifest ?? error);
`;
}
