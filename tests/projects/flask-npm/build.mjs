import { copyFileSync, mkdirSync } from "node:fs";

mkdirSync("static", { recursive: true });
copyFileSync("assets/site.css", "static/site.css");
