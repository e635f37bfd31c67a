# ruff: noqa: INP001, S311 - a script of its own; seeded pictures, nothing secret
"""Draw the sample pictures: python samples/draw.py [FOLDER], samples/pictures/ by default.

Every picture is seeded by its own name, so drawing one more changes none of the others.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from drawing import figures, outdoors, things
from drawing.canvas import Canvas
from drawing.lettering import caption, chat, note, sign
from PIL import Image

Scene = Callable[[Canvas], None]
happy, sad, angry, doubtful, asleep = (
    partial(figures.face, mood=mood) for mood in ("happy", "sad", "angry", "doubtful", "asleep")
)

# File name to scene and size in pixels.
SCENES: dict[str, tuple[Scene, tuple[int, int]]] = {
    "sunset.jpg": (outdoors.sunset, (1200, 800)),
    "mountains.jpg": (outdoors.mountains, (1024, 640)),
    "mountains-tall.webp": (outdoors.mountains, (480, 720)),
    "night-sky.jpg": (outdoors.night_sky, (800, 600)),
    "beach.jpg": (outdoors.beach, (900, 600)),
    "skyline.jpg": (outdoors.skyline, (960, 540)),
    "house.jpg": (outdoors.house, (640, 480)),
    "flowers.jpg": (outdoors.flowers, (720, 540)),
    "flowers-tall.webp": (outdoors.flowers, (400, 640)),
    "tomatoes.jpg": (outdoors.tomatoes, (720, 480)),
    "pitch.jpg": (outdoors.pitch, (900, 560)),
    "goal.webp": (outdoors.goal, (800, 500)),
    "road.jpg": (outdoors.road, (960, 600)),
    "bus-stop.jpg": (outdoors.bus_stop, (600, 600)),
    "pothole.jpg": (outdoors.pothole, (600, 450)),
    "snow.webp": (outdoors.snow, (500, 700)),
    "train.jpg": (outdoors.train, (900, 500)),
    "cat.jpg": (things.cat, (600, 600)),
    "cat-small.png": (things.cat, (96, 96)),
    "dog.webp": (things.dog, (560, 640)),
    "cake.jpg": (things.cake, (640, 640)),
    "bread.webp": (things.bread, (720, 480)),
    "pizza.jpg": (things.pizza, (640, 640)),
    "pizza-small.png": (things.pizza, (96, 96)),
    "soup.webp": (things.soup, (640, 480)),
    "mug.jpg": (things.mug, (480, 600)),
    "cactus.webp": (things.cactus, (480, 640)),
    "leaves.webp": (things.leaves, (520, 680)),
    "guitar.jpg": (things.guitar, (450, 750)),
    "vinyl.webp": (things.vinyl, (600, 560)),
    "stage.jpg": (things.stage, (960, 600)),
    "code.png": (things.code, (640, 440)),
    "gamepad.webp": (things.gamepad, (640, 440)),
    "platformer.png": (things.platformer, (480, 320)),
    "toys.jpg": (things.toys, (640, 480)),
    "podium.jpg": (figures.podium, (540, 640)),
    "ballot.webp": (figures.ballot, (520, 520)),
    "bars.png": (figures.bars, (640, 400)),
    "trend.png": (figures.trend, (720, 400)),
    "pie.png": (figures.pie, (400, 400)),
    "smile-small.png": (happy, (64, 64)),
    "sad-small.png": (sad, (64, 64)),
    "angry-small.png": (angry, (80, 80)),
    "doubtful.png": (doubtful, (256, 256)),
    "asleep-small.png": (asleep, (72, 72)),
}
# File name to scene, size in pixels, the words above and the words below.
MEMES: dict[str, tuple[Scene, tuple[int, int], str, str]] = {
    "meme-monday.jpg": (things.cat, (600, 600), "MONDAY CALLED", "I LET IT RING"),
    "meme-tomatoes.jpg": (outdoors.tomatoes, (640, 480), "PLANTED 40 TOMATOES", "HARVESTED ONE"),
    "meme-machine.png": (things.code, (600, 420), "IT WORKS ON MY MACHINE", "SO WE SHIP MY MACHINE"),
    "meme-possession.jpg": (outdoors.pitch, (700, 460), "80% POSSESSION", "LOST 4-0"),
    "meme-short-ride.webp": (outdoors.road, (700, 480), "JUST A SHORT RIDE", "SIX HOURS LATER"),
    "meme-one-more.webp": (things.gamepad, (600, 440), "ONE MORE MATCH", "IT IS 4 AM"),
    "meme-tidy.jpg": (things.toys, (600, 480), "I TIDIED THIS ROOM", "NINE MINUTES AGO"),
    "meme-roads.jpg": (figures.podium, (520, 620), "WE WILL FIX THE ROADS", "EVERY ELECTION SINCE 1994"),
    "meme-chords.webp": (things.guitar, (480, 700), "KNOWS THREE CHORDS", "IS PLANNING THE TOUR"),
    "meme-sponge.jpg": (things.cake, (560, 560), "IT LEANS", "IT IS CALLED A STYLE"),
    "meme-coffee.webp": (things.mug, (480, 600), "DO NOT SPEAK", "UNTIL THE THIRD ONE"),
    "meme-line.png": (figures.trend, (600, 400), "LINE GOES UP", "NOBODY ASKS WHICH LINE"),
    "meme-good-boy.jpg": (things.dog, (520, 560), "WHO IS A GOOD BOY", "STATISTICALLY, ME"),
    "meme-bus.webp": (outdoors.bus_stop, (560, 560), "A BUS EVERY TEN MINUTES", "IN THEORY"),
    "meme-sure.png": (doubtful, (400, 400), "SURE", "THAT WILL WORK"),
    "meme-cactus.jpg": (things.cactus, (480, 600), "EVEN MY CACTUS", "HAS FILED A COMPLAINT"),
    "meme-climb.jpg": (outdoors.mountains, (800, 520), "KEEP CLIMBING", "THE VIEW IS WORTH IT"),
    "meme-lunes.webp": (asleep, (420, 420), "LUNES OTRA VEZ", "NADIE LO PIDE"),
    "meme-kurz.jpg": (things.platformer, (600, 420), "NUR NOCH KURZ", "DREI UHR NACHTS"),
}


def lettered() -> dict[str, Image.Image]:
    """Chats, signs and notes."""
    return {
        "chat-lift.png": chat(
            (420, 560),
            "Flat 4B",
            [
                ("l", "is the lift working again?"),
                ("r", "it is working"),
                ("r", "it is not working for US"),
                ("l", "so stairs"),
                ("r", "think of it as a free gym with a smell"),
            ],
        ),
        "chat-dinner.png": chat(
            (400, 600),
            "Mum",
            [
                ("l", "What would you like for dinner on Sunday?"),
                ("r", "anything, honestly"),
                ("l", "Fish then"),
                ("r", "anything but fish"),
                ("l", "Anything, he said."),
            ],
        ),
        "chat-coach.webp": chat(
            (440, 520),
            "Sunday League",
            [
                ("l", "Kick-off 9:00. Who has the balls?"),
                ("r", "not Kev, judging by that penalty"),
                ("l", "I am IN this group"),
                ("r", "we know, Kev"),
            ],
        ),
        "sign-geese.jpg": sign((640, 480), ["DO NOT FEED", "THE GEESE.", "THEY KNOW WHY."], "#f4f1e4", "#20402c"),
        "sign-closed.png": sign((480, 400), ["ROAD CLOSED", "USE OTHER ROAD"], "#f7c325", "#222222"),
        "sign-courgettes.jpg": sign((600, 450), ["FREE COURGETTES", "please. we beg you."], "#ffffff", "#2f6b34"),
        "sign-vote.webp": sign((480, 360), ["POLLING STATION", "7:00 - 22:00"], "#ffffff", "#1d3f7a"),
        "note-yoghurt.jpg": written(
            "note-yoghurt", (520, 400), "sorry I ate your yoghurt\nit was not even good\n - the fridge"
        ),
        "note-list.png": written("note-list", (360, 480), "milk\neggs\nmore milk\npatience\nbin bags"),
        "note-neighbour.webp": written(
            "note-neighbour", (600, 440), "Dear upstairs,\nthe drums are great.\nThe 3 am is not.\nLove, 2A"
        ),
        "note-thanks.jpg": written("note-thanks", (520, 360), "Thank you for\nfinding my cat!\nThe cake is for you."),
    }


def painted(name: str, scene: Scene, size: tuple[int, int]) -> Image.Image:
    """Return a scene, the same for the same name."""
    canvas = Canvas(size, random.Random(name))
    scene(canvas)
    return canvas.finished()


def written(name: str, size: tuple[int, int], text: str) -> Image.Image:
    """Return a note, the same for the same name."""
    return note(size, text, random.Random(name))


def rare_kinds(folder: Path) -> None:
    """Write the kinds of file that readers stumble over, one of each."""
    turned = painted("turned", outdoors.house, (600, 450)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turn a quarter to the right before showing
    turned.save(folder / "turned-exif.jpg", quality=82, exif=exif)

    sticker = painted("sticker", happy, (200, 200)).convert("RGBA")
    alpha = Canvas((200, 200), random.Random(0))
    alpha.sky("#000000", "#000000")
    alpha.disc(0, 0.8, 42.5, fill="#ffffff")
    sticker.putalpha(alpha.finished().convert("L"))
    sticker.save(folder / "sticker-alpha.png", optimize=True)

    painted("gray", things.stage, (640, 480)).convert("L").save(folder / "stage-gray.jpg", quality=82)
    painted("cmyk", things.bread, (480, 320)).convert("CMYK").save(folder / "bread-cmyk.jpg", quality=80)
    few = painted("palette", things.platformer, (320, 240)).quantize(16, dither=Image.Dither.NONE)
    few.save(folder / "platformer-palette.png", optimize=True)
    painted("still", things.pizza, (240, 240)).quantize(64).save(folder / "pizza.gif")

    frames = [painted("pulse", partial(bouncing, step=step), (200, 200)).quantize(32) for step in range(6)]
    frames[0].save(folder / "bounce.gif", save_all=True, append_images=frames[1:], duration=120, loop=0)


def bouncing(canvas: Canvas, step: int) -> None:
    """One frame of a ball that bounces on grass."""
    canvas.sky("#86b9e6", "#dcecf6")
    canvas.ground(28, "#58a650", "#3b8238")
    height = (0, 18, 30, 34, 30, 18)[step]
    canvas.disc(0, 36, 14 - height / 4, 2.4, fill="#2f6b34")
    outdoors.ball(canvas, 0, 20 - height, 15)


def save(image: Image.Image, path: Path) -> None:
    """Write a picture in the format that its name says."""
    options = {".jpg": {"quality": 80}, ".webp": {"quality": 78, "method": 4}, ".png": {"optimize": True}}
    image.save(path, **options[path.suffix])


def draw(folder: Path) -> list[Path]:
    """Draw every picture into the folder and return their paths, sorted by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (scene, size) in SCENES.items():
        save(painted(name, scene, size), folder / name)
    for name, (scene, size, above, below) in MEMES.items():
        image = painted(name, scene, size)
        caption(image, above, at_top=True)
        caption(image, below, at_top=False)
        save(image, folder / name)
    for name, image in lettered().items():
        save(image, folder / name)
    rare_kinds(folder)
    return sorted(folder.iterdir())


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures"
    drawn = draw(target)
    total = sum(path.stat().st_size for path in drawn)
    sys.stdout.write(f"{len(drawn)} pictures, {total:,} bytes, in {target}\n")
