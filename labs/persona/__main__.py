"""python -m labs.persona [--measure] [--seeds 42 123 7] [--rows TEXT]"""

from labs._build.command import main
from labs.persona.material import LAB

if __name__ == "__main__":
    main(LAB)
