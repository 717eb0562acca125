using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.DependencyInjection;

namespace MultiCluster.Engine.Grpc.Server;

/// <summary>A service for one call: from the container, or made here and then disposed with the call.</summary>
internal readonly struct Instance<TService>(TService value, bool owned) : IAsyncDisposable
    where TService : class
{
    private static readonly Lazy<ObjectFactory<TService>> Factory = new(() => ActivatorUtilities.CreateFactory<TService>([]));

    public TService Value => value;

    public static Instance<TService> Of(ServerCallContext context)
    {
        IServiceProvider services = context.GetHttpContext().RequestServices;
        return services.GetService<TService>() is { } shared
            ? new Instance<TService>(shared, owned: false)
            : new Instance<TService>(Factory.Value(services, []), owned: true);
    }

    public ValueTask DisposeAsync() => owned ? Owned.DisposeAsync(value) : ValueTask.CompletedTask;
}

/// <summary>An interceptor for one call, under the same rule.</summary>
internal readonly struct InterceptorInstance(Interceptor value, bool owned) : IAsyncDisposable
{
    public Interceptor Value => value;

    public static InterceptorInstance Of(ServerCallContext context, InterceptorRegistration registration)
    {
        IServiceProvider services = context.GetHttpContext().RequestServices;
        return registration.Arguments.Count == 0 && services.GetService(registration.Type) is Interceptor shared
            ? new InterceptorInstance(shared, owned: false)
            : new InterceptorInstance((Interceptor)ActivatorUtilities.CreateInstance(services, registration.Type, [.. registration.Arguments]), owned: true);
    }

    public ValueTask DisposeAsync() => owned ? Owned.DisposeAsync(value) : ValueTask.CompletedTask;
}

internal static class Owned
{
    public static ValueTask DisposeAsync(object value)
    {
        switch (value)
        {
            case IAsyncDisposable asynchronous:
                return asynchronous.DisposeAsync();
            case IDisposable synchronous:
                synchronous.Dispose();
                break;
        }

        return ValueTask.CompletedTask;
    }
}
