/* Search in pages that are opened from the disk. There, browsers allow no Worker; this one runs its script in a hidden
   frame. The theme looks for the name IFrameWorker. */
if (location.protocol === "file:") {
  window.Worker = window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      this.ready = new Promise((resolve) => {
        frame.addEventListener("load", () => this.start(frame, new URL(url, document.baseURI), resolve), { once: true });
      });
      document.body.append(frame);
    }

    start(frame, url, resolve) {
      const inside = frame.contentWindow;
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      const script = inside.document.createElement("script");
      script.src = url;
      script.addEventListener("load", () => resolve(inside));
      inside.document.body.append(script);
    }

    async postMessage(data) {
      const inside = await this.ready;
      inside.dispatchEvent(new MessageEvent("message", { data }));
    }
  };
}
