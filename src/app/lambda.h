/* lambda.h: `gwh lambda`: the runtime of a function of AWS Lambda. */
#pragma once

/* argv[0] is "lambda", the settings follow. Returns the exit code. */
int gw_lambda_main(int argc, char **argv);
