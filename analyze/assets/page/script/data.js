// The rows behind the tables, packed in the page: base64 of deflated JSON, unpacked when first asked for.
const unpack = async (packed) => {
  const stored = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const stream = new Blob([stored]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(stream).text());
};

// What an old browser cannot unpack it does without: the page is complete as it is.
const canUnpack = "DecompressionStream" in window;
let unpacking;
const data = () => (unpacking ??= unpack(document.getElementById("data").textContent.trim()));
