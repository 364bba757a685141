// An uploaded image: encoding, decoding, denoising, likelihood.

import { post } from "./api.js";
import { cut } from "./png.js";
import { t } from "./language.js";

const $ = (id) => document.getElementById(id);
const LARGEST = 3_000_000;
let image = null; // As base64.
let latents = null;
let host;

export function begin(given) {
  host = given;
  $("file").addEventListener("change", () => take($("file").files[0]));
  const drop = $("drop");
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
  for (const button of buttons()) button.addEventListener("click", () => act(button.dataset.do));
}

const buttons = () => [...document.querySelectorAll("[data-do]")];

async function take(file) {
  if (!file) return;
  const { say } = host.begun();
  if (file.size > LARGEST) return say(() => t("too-large", file.name), true);
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  image = btoa(text);
  latents = null;
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (bitmap) preview(bitmap);
  for (const button of buttons()) button.disabled = button.dataset.do === "decode";
  say(() => t("loaded", file.name));
}

// Shows the image as the server will see it: resized to cover the run's size, cropped in the middle.
function preview(bitmap) {
  const [height, width] = host.run().shape;
  const canvas = $("given");
  [canvas.width, canvas.height] = [width, height ?? width];
  const scale = Math.max(canvas.width / bitmap.width, canvas.height / bitmap.height);
  const [w, h] = [bitmap.width * scale, bitmap.height * scale];
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, (canvas.width - w) / 2, (canvas.height - h) / 2, w, h);
  canvas.hidden = false;
}

const requests = {
  encode: async () => {
    const encoded = image;
    const answer = await post("/api/v1/encode", reversible());
    if (image === encoded) {
      latents = answer.latents;
      document.querySelector('[data-do="decode"]').disabled = false;
    }
    const [norm, usual] = [answer.norms[0], answer.usual_norm].map((value) => Number(value.toPrecision(4)));
    return { title: "encoded", text: () => `${t("latent", norm, usual)} ${cost(answer)}` };
  },
  decode: async () => {
    const { input, ...rest } = reversible();
    const answer = await post("/api/v1/decode", { ...rest, latents });
    return { title: "decoded", picture: await one(answer), text: () => cost(answer) };
  },
  denoise: async () => {
    const answer = await post("/api/v1/denoise", { ...host.asked(), input: { images: [image] } });
    return { title: "denoised", picture: await one(answer), text: () => `${t("noise-estimate", answer.sigma.toFixed(3))} ${cost(answer)}` };
  },
  score: async () => {
    const answer = await post("/api/v1/likelihood", reversible());
    const bits = answer.bits_per_dim?.[0].toFixed(3);
    return { title: "scored", text: () => `${t("log-p", answer.log_densities[0].toFixed(1), bits)} ${cost(answer)}` };
  },
};

// Encoding uses the server's default, rk45: the chosen solver may add noise.
function reversible() {
  const { run, class: label } = host.asked();
  return { run, input: { images: [image] }, ...(label ? { class: label } : {}) };
}

const one = async (answer) => (await cut(answer.png, answer.shape, answer.count))[0];
const cost = ({ nfe, seconds }) => t("cost", Math.round(nfe), seconds.toFixed(2));

async function act(what) {
  const { say, fail } = host.begun();
  say(() => t("waiting"));
  try {
    const { title, picture, text } = await requests[what]();
    say(text);
    $("restored").hidden = false;
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    if (picture) {
      picture.setAttribute("role", "img");
      figure.append(picture);
    }
    const write = () => {
      caption.textContent = t("restored", t(title), text());
      picture?.setAttribute("aria-label", t(title));
    };
    write();
    document.addEventListener("language", write);
    figure.append(caption);
    $("restored-list").prepend(figure);
    host.reveal($("restored"));
    document.body.dataset.restored = what;
  } catch (problem) {
    fail(problem);
  }
}

