using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using MultiCluster.Clusters;
using MultiCluster.Gateway.Clusters;
using MultiCluster.Gateway.Reads;
using MultiCluster.Gateway.Security;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Http;

/// <summary>Errors of <c>/v1</c> as <c>application/problem+json</c>. Only what was written for users leaves; an unknown exception says nothing of itself.</summary>
internal static class Problems
{
    public static HttpProblem Of(Exception error) => error switch
    {
        InvalidQueryException invalid => new HttpProblem(
            "The request is wrong.", 400, string.Join(' ', invalid.Faults.Select(f => $"{QueryParameters.NameOf(f.Field)}: {f.Message}")),
            [.. invalid.Faults.Select(f => new HttpFault(ClusterFault.InvalidRequest, f.Message, QueryParameters.NameOf(f.Field)))], null),
        ClusterRefusedException refused => Refused(refused.Reason, [.. refused.Faults.Select(f => f.ToHttp())]),
        IncompleteReadException incomplete => new HttpProblem(
            "Not every cluster is covered.", 503, incomplete.Message, null, Coverage(incomplete.Missing)),
        ExpiredReadException expired => new HttpProblem("Expired.", 410, expired.Message, null, null),
        TooManyWatchesException tooMany => new HttpProblem("Too many watches.", 429, tooMany.Message, null, null) { RetryAfter = tooMany.RetryAfter },
        FleetUnavailableException unavailable => new HttpProblem("Not ready.", 503, unavailable.Message, null, null),
        CommandUnconfirmedException unconfirmed => new HttpProblem("Not confirmed.", 503, unconfirmed.Message, null, null),
        JsonException json => new HttpProblem(
            "The request is wrong.", 400, $"The body is not the JSON that this request takes, at {json.Path ?? "$"}, line {(json.LineNumber ?? 0) + 1}.", null, null),
        BadHttpRequestException bad => new HttpProblem(
            "The request is wrong.", bad.StatusCode, bad.StatusCode == 413 ? "The body is too large." : "The request cannot be read.", null, null),
        TimeoutException => new HttpProblem("Timeout.", 504, "No answer within the deadline. Try again.", null, null),
        _ => new HttpProblem("Internal error.", 500, "The service failed; its log says why.", null, null),
    };

    public static Task WriteAsync(HttpContext http, HttpProblem problem)
    {
        http.Response.StatusCode = problem.Status;
        if (problem.RetryAfter is { } pause)
        {
            http.Response.Headers.RetryAfter = ((long)Math.Ceiling(pause.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        }

        return http.Response.WriteAsJsonAsync(problem, HttpJson.Api.HttpProblem, "application/problem+json", http.RequestAborted);
    }

    public static Task WriteAsync(HttpContext http)
    {
        Exception? error = http.Features.Get<IExceptionHandlerFeature>()?.Error;
        return WriteAsync(http, Of(error ?? new InvalidOperationException()));
    }

    /// <summary>What an error that was met before any endpoint means: routing, authentication, the content type.</summary>
    public static Task WriteAsync(StatusCodeContext context)
    {
        HttpContext http = context.HttpContext;
        (string title, string detail) = http.Response.StatusCode switch
        {
            401 => ("Not authenticated.", BearerAuthentication.Hint),
            403 => ("Not allowed.", "This token may not do that."),
            404 => ("No such path.", "GET /v1/openapi.json describes every path there is."),
            405 => ("No such method.", $"This path does not take {http.Request.Method}; it takes {http.Response.Headers.Allow}."),
            415 => ("Unsupported media type.", "The body must be JSON, with the header 'Content-Type: application/json'."),
            int status => (ReasonPhrases.GetReasonPhrase(status), "The request was not answered."),
        };
        return WriteAsync(http, new HttpProblem(title, http.Response.StatusCode, detail, null, null));
    }

    private static HttpProblem Refused(RefusalReason reason, ImmutableArray<HttpFault> faults) => new(
        TitleOf(reason), StatusOf(reason), string.Join(' ', faults.Select(f => f.Field is null ? f.Message : $"{f.Field}: {f.Message}")), faults, null);

    private static ImmutableArray<HttpCoverage> Coverage(ImmutableArray<ClusterCoverage> coverage) => [.. coverage.Select(c => c.ToHttp())];

    private static int StatusOf(RefusalReason reason) => reason switch
    {
        RefusalReason.Invalid => 400,
        RefusalReason.NotFound => 404,
        RefusalReason.AlreadyExists => 409,
        RefusalReason.Conflict => 409,
        _ => 422,
    };

    private static string TitleOf(RefusalReason reason) => reason switch
    {
        RefusalReason.Invalid => "The request is wrong.",
        RefusalReason.NotFound => "No such cluster.",
        RefusalReason.AlreadyExists => "The name is taken.",
        RefusalReason.Conflict => "The cluster has changed meanwhile.",
        _ => "The checks did not pass.",
    };
}
