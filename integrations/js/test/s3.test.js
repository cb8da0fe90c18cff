/** The same against an S3 that is not Tintype's own: its forms, its words, its clock. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createUploader } from "../dist/tintype.js";
import { brisk, closeAll, photo, ticketFor } from "./support.js";

after(closeAll);
const file = () => new File([photo], "a.jpg", { type: "image/jpeg" });

for (const method of ["POST", "PUT"]) {
  test(`it takes a file by ${method}`, async () => {
    const { upload } = createUploader({ ...brisk, presign: (wanted) => ticketFor({ ...wanted, method, metadata: { album: "7" } }) });
    const manifest = await upload(file());
    assert.deepEqual([manifest.variants.length, manifest.metadata.album], [8, "7"]);
  });

  test(`a credential of ${method} that ran out is replaced`, async () => {
    const ids = [];
    const presign = async (wanted) => {
      const ticket = await ticketFor({ ...wanted, method });
      if (!ids.length) await sleep(9000);
      ids.push(ticket.id);
      return ticket;
    };
    const manifest = await createUploader({ ...brisk, presign }).upload(file());
    assert.equal(ids.length, 2);
    assert.ok(manifest.original.key.includes(ids[1]));
  });
}

test("what it refuses comes with its code", async () => {
  const forged = createUploader({ presign: () => ticketFor().then((ticket) => (ticket.presign.fields.key = "temp/other", ticket)) });
  const error = await forged.upload(file()).then(() => assert.fail("it was taken"), (error) => error);
  assert.deepEqual([error.code, error.status, error.retryable], ["AccessDenied", 403, false]);
});
