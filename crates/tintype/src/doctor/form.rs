//! A browser's form, written as the seed's client writes it: fields in the server's order, the file last.

/// The value of `Content-Type`, and the body.
pub fn multipart(fields: &[(String, String)], content_type: &str, file: &[u8]) -> (String, Vec<u8>) {
    // No field and no file of ours holds this.
    const BOUNDARY: &str = "----tintype-doctor-9f1d0c6e";
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"probe.png\"\r\n\
         Content-Type: {content_type}\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={BOUNDARY}"), body)
}
