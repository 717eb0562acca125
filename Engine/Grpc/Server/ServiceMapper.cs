using System.Collections.Concurrent;
using System.IO.Compression;
using System.Reflection;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiCluster.Engine.Grpc.Wire;

namespace MultiCluster.Engine.Grpc.Server;

/// <summary>The clock of deadlines; its own type, so that a test can move it without moving anything else.</summary>
internal sealed record GrpcClock(TimeProvider Time);

/// <summary>Which services the application has mapped, so that the catch-all routes exist once.</summary>
internal sealed class MappedServices
{
    private readonly ConcurrentDictionary<string, bool> _names = new(StringComparer.Ordinal);

    public bool AddFirst() => _names.TryAdd("", true);

    public bool Add(string serviceName) => _names.TryAdd(serviceName, true);
}

/// <summary>What calls of one service obey: the options for all services with those of this one over them.</summary>
internal sealed record ServiceSettings(
    int? MaxReceiveMessageSize, int? MaxSendMessageSize, bool DetailedErrors, string? ResponseEncoding,
    CompressionLevel CompressionLevel, IReadOnlyList<InterceptorRegistration> Interceptors)
{
    public static ServiceSettings For(GrpcServiceOptions all, GrpcServiceOptions one)
    {
        string? encoding = one.ResponseCompressionAlgorithm ?? all.ResponseCompressionAlgorithm;
        if (encoding is not (null or GrpcNames.Gzip or GrpcNames.Identity))
        {
            throw new InvalidOperationException($"ResponseCompressionAlgorithm '{encoding}' is not known. Use '{GrpcNames.Gzip}' or null.");
        }

        return new ServiceSettings(
            one.MaxReceiveMessageSizeSpecified ? one.MaxReceiveMessageSize : all.MaxReceiveMessageSize,
            one.MaxSendMessageSizeSpecified ? one.MaxSendMessageSize : all.MaxSendMessageSize,
            one.EnableDetailedErrors ?? all.EnableDetailedErrors ?? false,
            encoding == GrpcNames.Gzip ? encoding : null,
            one.ResponseCompressionLevel ?? all.ResponseCompressionLevel ?? CompressionLevel.Fastest,
            [.. all.Interceptors, .. one.Interceptors]);
    }
}

/// <summary>Makes the endpoints of one service, and those that answer UNIMPLEMENTED beside them.</summary>
internal sealed class ServiceMapper<TService>(IEndpointRouteBuilder routes) : ServiceBinderBase
    where TService : class
{
    private readonly List<IEndpointConventionBuilder> _endpoints = [];
    private readonly ILogger _logger = routes.ServiceProvider.GetRequiredService<ILoggerFactory>().CreateLogger("Grpc.AspNetCore.Server");
    private readonly TimeProvider _time = routes.ServiceProvider.GetRequiredService<GrpcClock>().Time;
    private readonly MappedServices _mapped = routes.ServiceProvider.GetRequiredService<MappedServices>();
    private readonly GrpcServiceOptions _optionsForAll = routes.ServiceProvider.GetRequiredService<IOptions<GrpcServiceOptions>>().Value;
    private readonly ServiceSettings _settings = ServiceSettings.For(
        routes.ServiceProvider.GetRequiredService<IOptions<GrpcServiceOptions>>().Value,
        routes.ServiceProvider.GetRequiredService<IOptions<GrpcServiceOptions<TService>>>().Value);

    public IReadOnlyList<IEndpointConventionBuilder> Map()
    {
        GeneratedService.Bind(typeof(TService), this);
        if (_mapped.AddFirst() && _optionsForAll.IgnoreUnknownServices != true)
        {
            AddUnimplemented("{unimplementedService}/{unimplementedMethod}", "Unimplemented service", "Service is unimplemented.");
        }

        return _endpoints;
    }

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse>? handler)
    {
        (MethodInfo info, var call) = Find<Func<TService, TRequest, ServerCallContext, Task<TResponse>>>(method, typeof(TRequest), typeof(ServerCallContext));
        UnaryServerMethod<TRequest, TResponse> run = async (request, context) =>
        {
            await using Instance<TService> service = Instance<TService>.Of(context);
            return await call(service.Value, request, context);
        };
        foreach (InterceptorRegistration one in _settings.Interceptors.Reverse())
        {
            UnaryServerMethod<TRequest, TResponse> inner = run;
            run = async (request, context) =>
            {
                await using InterceptorInstance interceptor = InterceptorInstance.Of(context, one);
                return await interceptor.Value.UnaryServerHandler(request, context, inner);
            };
        }

        Add(method, info, streamsRequests: false, async call =>
        {
            TRequest request = await call.ReadSingleAsync(method.RequestMarshaller);
            await call.WriteSingleAsync(await run(request, call), method.ResponseMarshaller);
        });
    }

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ClientStreamingServerMethod<TRequest, TResponse>? handler)
    {
        (MethodInfo info, var call) = Find<Func<TService, IAsyncStreamReader<TRequest>, ServerCallContext, Task<TResponse>>>(
            method, typeof(IAsyncStreamReader<TRequest>), typeof(ServerCallContext));
        ClientStreamingServerMethod<TRequest, TResponse> run = async (requests, context) =>
        {
            await using Instance<TService> service = Instance<TService>.Of(context);
            return await call(service.Value, requests, context);
        };
        foreach (InterceptorRegistration one in _settings.Interceptors.Reverse())
        {
            ClientStreamingServerMethod<TRequest, TResponse> inner = run;
            run = async (requests, context) =>
            {
                await using InterceptorInstance interceptor = InterceptorInstance.Of(context, one);
                return await interceptor.Value.ClientStreamingServerHandler(requests, context, inner);
            };
        }

        Add(method, info, streamsRequests: true, async call =>
        {
            TResponse response = await run(new ServerStreamReader<TRequest>(call, method.RequestMarshaller), call);
            await call.WriteSingleAsync(response, method.ResponseMarshaller);
        });
    }

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ServerStreamingServerMethod<TRequest, TResponse>? handler)
    {
        (MethodInfo info, var call) = Find<Func<TService, TRequest, IServerStreamWriter<TResponse>, ServerCallContext, Task>>(
            method, typeof(TRequest), typeof(IServerStreamWriter<TResponse>), typeof(ServerCallContext));
        ServerStreamingServerMethod<TRequest, TResponse> run = async (request, responses, context) =>
        {
            await using Instance<TService> service = Instance<TService>.Of(context);
            await call(service.Value, request, responses, context);
        };
        foreach (InterceptorRegistration one in _settings.Interceptors.Reverse())
        {
            ServerStreamingServerMethod<TRequest, TResponse> inner = run;
            run = async (request, responses, context) =>
            {
                await using InterceptorInstance interceptor = InterceptorInstance.Of(context, one);
                await interceptor.Value.ServerStreamingServerHandler(request, responses, context, inner);
            };
        }

        Add(method, info, streamsRequests: false, async call =>
        {
            TRequest request = await call.ReadSingleAsync(method.RequestMarshaller);
            await run(request, new ServerStreamWriter<TResponse>(call, method.ResponseMarshaller), call);
        });
    }

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, DuplexStreamingServerMethod<TRequest, TResponse>? handler)
    {
        (MethodInfo info, var call) = Find<Func<TService, IAsyncStreamReader<TRequest>, IServerStreamWriter<TResponse>, ServerCallContext, Task>>(
            method, typeof(IAsyncStreamReader<TRequest>), typeof(IServerStreamWriter<TResponse>), typeof(ServerCallContext));
        DuplexStreamingServerMethod<TRequest, TResponse> run = async (requests, responses, context) =>
        {
            await using Instance<TService> service = Instance<TService>.Of(context);
            await call(service.Value, requests, responses, context);
        };
        foreach (InterceptorRegistration one in _settings.Interceptors.Reverse())
        {
            DuplexStreamingServerMethod<TRequest, TResponse> inner = run;
            run = async (requests, responses, context) =>
            {
                await using InterceptorInstance interceptor = InterceptorInstance.Of(context, one);
                await interceptor.Value.DuplexStreamingServerHandler(requests, responses, context, inner);
            };
        }

        Add(method, info, streamsRequests: true, call => run(
            new ServerStreamReader<TRequest>(call, method.RequestMarshaller), new ServerStreamWriter<TResponse>(call, method.ResponseMarshaller), call));
    }

    /// <summary>The method as the service class has it (for its attributes), and a delegate that calls it on any instance.</summary>
    private static (MethodInfo Info, TDelegate Call) Find<TDelegate>(IMethod method, params Type[] parameters)
        where TDelegate : Delegate
    {
        MethodInfo info = typeof(TService).GetMethod(method.Name, BindingFlags.Public | BindingFlags.Instance, parameters)
            ?? throw new InvalidOperationException($"{typeof(TService)} has no public method {method.Name} with the parameters that {method.FullName} needs.");
        return (info, info.CreateDelegate<TDelegate>());
    }

    private void Add(IMethod method, MethodInfo info, bool streamsRequests, Func<HttpServerCall, Task> run)
    {
        var handler = new CallHandler(method, _settings, streamsRequests, run, _time, _logger);
        IEndpointConventionBuilder endpoint = routes.Map(RoutePatternFactory.Parse(method.FullName), handler.HandleAsync);
        endpoint.Add(built =>
        {
            built.DisplayName = $"gRPC - {method.FullName}";
            built.Metadata.Add(new GrpcMethodMetadata(typeof(TService), method));
            foreach (object attribute in typeof(TService).GetCustomAttributes(inherit: true).Concat(info.GetCustomAttributes(inherit: true)))
            {
                built.Metadata.Add(attribute);
            }

            // Last: routing takes the last one, and a gRPC call is always a POST.
            built.Metadata.Add(new HttpMethodMetadata([HttpMethods.Post], acceptCorsPreflight: true));
        });
        _endpoints.Add(endpoint);

        if (_mapped.Add(method.ServiceName))
        {
            AddUnimplemented($"{method.ServiceName}/{{unimplementedMethod}}", $"Unimplemented method for {method.ServiceName}", "Method is unimplemented.");
        }
    }

    private void AddUnimplemented(string pattern, string displayName, string detail)
    {
        RoutePattern route = RoutePatternFactory.Parse(pattern, defaults: null, new { unimplementedMethod = new GrpcRequestConstraint() });
        IEndpointConventionBuilder endpoint = routes.Map(route, http => CallHandler.AnswerUnimplemented(http, detail));
        endpoint.Add(built => built.DisplayName = $"gRPC - {displayName}");
        _endpoints.Add(endpoint);
    }

    /// <summary>Keeps the catch-all routes away from everything that is no gRPC call.</summary>
    private sealed class GrpcRequestConstraint : IRouteConstraint
    {
        public bool Match(HttpContext? httpContext, IRouter? route, string routeKey, RouteValueDictionary values, RouteDirection routeDirection) =>
            httpContext is not null && HttpMethods.IsPost(httpContext.Request.Method) && GrpcNames.IsGrpc(httpContext.Request.ContentType);
    }
}
